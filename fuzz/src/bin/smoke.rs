//! Runs the fuzz targets without libFuzzer: seeds, changed seeds and noise, the same ones every time, for a while each.
//!
//! `smoke [--seconds N | --inputs M] [--seed N] [TARGET | FILE ...]`. A target's panic saves the input in `artifacts/TARGET/` and ends with
//! status 1; a FILE whose folder is named after a target is run once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ambidex_fuzz::{TARGETS, Target, seeds};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).take(n).collect()
    }
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// The files of a folder, in order of their names.
fn files(dir: &Path) -> Vec<Vec<u8>> {
    let mut names: Vec<_> = std::fs::read_dir(dir).into_iter().flatten().filter_map(|e| Some(e.ok()?.path())).filter(|p| p.is_file()).collect();
    names.sort();
    names.iter().filter_map(|p| std::fs::read(p).ok()).collect()
}

/// One input: noise, or a seed with a few changes.
fn input(random: &mut Random, seeds: &[Vec<u8>], max: usize) -> Vec<u8> {
    if seeds.is_empty() || random.below(3) == 0 {
        let n = 1 + random.below(max);
        return random.bytes(n);
    }
    let mut data = seeds[random.below(seeds.len())].clone();
    for _ in 0..1 + random.below(6) {
        let at = random.below(data.len());
        let n = 1 + random.below(16);
        let end = (at + n).min(data.len());
        match random.below(7) {
            0 | 1 if !data.is_empty() => data[at] = random.next() as u8,
            2 if !data.is_empty() => data[at] ^= 1 << random.below(8),
            3 => drop(data.drain(at..end)),
            4 => {
                let new = random.bytes(n);
                data.splice(at..at, new);
            }
            5 => {
                let copy = data[at..end].to_vec();
                let to = random.below(data.len());
                data.splice(to..to, copy);
            }
            _ => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                let part = other[from..(from + 4 * n).min(other.len())].to_vec();
                data.splice(at..end, part);
            }
        }
    }
    data.truncate(max.max(1));
    data
}

struct Limit {
    time: Duration,
    inputs: u64,
}

fn save(target: &Target, data: &[u8]) -> PathBuf {
    let hash = data.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    let dir = home().join("artifacts").join(target.name);
    let path = dir.join(format!("smoke-{hash:016x}"));
    if let Err(e) = std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(&path, data)) {
        eprintln!("The input could not be saved as {}: {e}", path.display());
    }
    path
}

/// Runs one target; tells whether all went well.
fn run(target: &Target, limit: &Limit, seed: u64) -> bool {
    let mut seeds = files(&home().join("seeds").join(target.name));
    seeds.extend(files(&home().join("corpus").join(target.name)));
    let mut random = Random(seed ^ target.name.bytes().fold(0, |h, b| h << 5 ^ h >> 59 ^ u64::from(b)));
    let start = Instant::now();
    let mut done = 0u64;
    while done < seeds.len() as u64 || done < limit.inputs && start.elapsed() < limit.time {
        let data = seeds.get(done as usize).cloned().unwrap_or_else(|| input(&mut random, &seeds, target.max_len));
        done += 1;
        if catch_unwind(AssertUnwindSafe(|| (target.run)(&data))).is_err() {
            println!("{:16} FAILED after {done} inputs: {}", target.name, save(target, &data).display());
            return false;
        }
    }
    println!("{:16} {done} inputs in {:.1} s, {} seeds", target.name, start.elapsed().as_secs_f64(), seeds.len());
    true
}

fn usage(wrong: &str) -> ExitCode {
    let names: Vec<_> = TARGETS.iter().map(|t| t.name).collect();
    eprintln!("{wrong}\nusage: smoke [--seconds N | --inputs M] [--seed N] [--write-seeds] [TARGET | FILE ...]\ntargets: {}", names.join(" "));
    ExitCode::from(2)
}

fn main() -> ExitCode {
    let mut limit = Limit { time: Duration::from_secs(2), inputs: u64::MAX };
    let mut seed = 0;
    let mut chosen = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--write-seeds" {
            for (target, name, data) in seeds::all() {
                let dir = home().join("seeds").join(target);
                if let Err(e) = std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(dir.join(&name), data)) {
                    return usage(&format!("seed {target}/{name} cannot be written: {e}"));
                }
            }
            return ExitCode::SUCCESS;
        }
        if arg.starts_with("--") {
            let Some(n) = args.next().and_then(|v| v.parse::<u64>().ok()) else { return usage(&format!("{arg} needs a number")) };
            match arg.as_str() {
                "--seconds" => limit.time = Duration::from_secs(n),
                "--inputs" => (limit.inputs, limit.time) = (n, Duration::MAX),
                "--seed" => seed = n,
                _ => return usage(&format!("{arg} is no option")),
            }
            continue;
        }
        if let Some(t) = TARGETS.iter().find(|t| t.name == arg) {
            chosen.push(*t);
            continue;
        }
        let path = Path::new(&arg);
        let folder = path.parent().and_then(Path::file_name).and_then(|n| n.to_str());
        let (Ok(data), Some(t)) = (std::fs::read(path), TARGETS.iter().find(|t| Some(t.name) == folder)) else {
            return usage(&format!("{arg} is neither a target nor an input in a folder named after one"));
        };
        (t.run)(&data);
        println!("{:16} {arg}: nothing found", t.name);
        return ExitCode::SUCCESS;
    }
    if chosen.is_empty() {
        chosen = TARGETS.to_vec();
    }
    // One finding ends the run: the rest would be hidden behind its output.
    if chosen.iter().all(|t| run(t, &limit, seed)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
