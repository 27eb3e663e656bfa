//! ELF executables: loadable segments and symbols (System V ABI, "Object Files"; 64- and 32-bit little-endian).

use super::{LoadError, le};

const MAX_SEGMENTS: u64 = 4096;
const MAX_SYMBOLS: usize = 1 << 20;
const PT_LOAD: u64 = 1;
const SHT_SYMTAB: u64 = 2;

/// A piece of an executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Physical address.
    pub at: u64,
    /// Virtual address.
    pub va: u64,
    /// Contents; up to `size` follow zeroes.
    pub data: Vec<u8>,
    /// Bytes in memory.
    pub size: u64,
}

/// An ELF executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    /// `e_machine`, such as 243 for RISC-V.
    pub machine: u16,
    /// Whether it is a 64-bit file.
    pub is_64: bool,
    /// Entry point, virtual.
    pub entry: u64,
    /// What to load.
    pub segments: Vec<Segment>,
    /// Names and values of symbols.
    pub symbols: Vec<(String, u64)>,
}

struct Fields<'a> {
    file: &'a str,
    data: &'a [u8],
    wide: bool,
}

impl Fields<'_> {
    fn bad(&self, what: &str) -> LoadError {
        LoadError::damaged(self.file, "ELF file", what)
    }

    fn get(&self, at: u64, size: usize) -> Result<u64, LoadError> {
        usize::try_from(at)
            .ok()
            .and_then(|at| le(self.data, at, size))
            .ok_or_else(|| self.bad("it is cut off"))
    }

    /// A field at `wide` of 64-bit files and at `narrow` of 32-bit files, as wide as an address.
    fn word(&self, base: u64, wide: u64, narrow: u64) -> Result<u64, LoadError> {
        if self.wide {
            self.get(base.wrapping_add(wide), 8)
        } else {
            self.get(base.wrapping_add(narrow), 4)
        }
    }

    fn half(&self, wide: u64, narrow: u64) -> Result<u64, LoadError> {
        self.get(if self.wide { wide } else { narrow }, 2)
    }

    fn slice(&self, at: u64, len: u64) -> Result<&[u8], LoadError> {
        at.checked_add(len)
            .and_then(|end| {
                self.data
                    .get(usize::try_from(at).ok()?..usize::try_from(end).ok()?)
            })
            .ok_or_else(|| self.bad("a part of it lies beyond its end"))
    }
}

impl Elf {
    /// Whether `data` begins like an ELF file.
    #[must_use]
    pub fn is(data: &[u8]) -> bool {
        data.starts_with(b"\x7fELF")
    }

    /// Reads an executable whose segments take up to `limit` bytes of memory.
    ///
    /// # Errors
    /// It is damaged, big-endian, no executable, or too large.
    pub fn parse(file: &str, data: &[u8], limit: u64) -> Result<Elf, LoadError> {
        let class = data.get(4).copied().unwrap_or(0);
        let f = Fields {
            file,
            data,
            wide: class == 2,
        };
        if !Elf::is(data) || !matches!(class, 1 | 2) {
            return Err(f.bad("the identification is wrong"));
        }
        if data.get(5) != Some(&1) {
            return Err(f.bad("it is big-endian"));
        }
        if !matches!(f.get(16, 2)?, 2 | 3) {
            return Err(f.bad("it is no executable"));
        }
        let machine = f.get(18, 2)? as u16;
        let entry = f.word(0, 24, 24)?;
        let (headers, count, size) = (f.word(0, 32, 28)?, f.half(56, 44)?, f.half(54, 42)?);
        if count > MAX_SEGMENTS || size < if f.wide { 56 } else { 32 } && count > 0 {
            return Err(f.bad("its program headers are wrong"));
        }
        let mut segments = Vec::new();
        let mut total = 0u64;
        for n in 0..count {
            let at = headers.wrapping_add(n * size);
            if f.get(at, 4)? != PT_LOAD {
                continue;
            }
            let (offset, va, pa) = (f.word(at, 8, 4)?, f.word(at, 16, 8)?, f.word(at, 24, 12)?);
            let (in_file, in_memory) = (f.word(at, 32, 16)?, f.word(at, 40, 20)?);
            if in_memory == 0 {
                continue;
            }
            if in_file > in_memory || pa.checked_add(in_memory).is_none() {
                return Err(
                    f.bad("a segment is larger in the file than in memory, or wraps around")
                );
            }
            total = total.saturating_add(in_memory);
            if total > limit {
                return Err(LoadError::TooLarge {
                    file: file.to_owned(),
                    limit,
                });
            }
            segments.push(Segment {
                at: pa,
                va,
                data: f.slice(offset, in_file)?.to_vec(),
                size: in_memory,
            });
        }
        if segments.is_empty() {
            return Err(f.bad("it has nothing to load"));
        }
        // Symbols are a convenience: a file whose section headers are stripped or odd still loads.
        let symbols = read_symbols(&f).unwrap_or_default();
        Ok(Elf {
            machine,
            is_64: f.wide,
            entry,
            segments,
            symbols,
        })
    }

    /// The entry point as a physical address.
    #[must_use]
    pub fn physical_entry(&self) -> u64 {
        self.segments
            .iter()
            .find(|s| self.entry >= s.va && self.entry - s.va < s.size)
            .map_or(self.entry, |s| s.at.wrapping_add(self.entry - s.va))
    }

    /// The value of a symbol.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<u64> {
        self.symbols
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| *v)
    }
}

fn read_symbols(f: &Fields<'_>) -> Result<Vec<(String, u64)>, LoadError> {
    let (headers, count, size) = (f.word(0, 40, 32)?, f.half(60, 48)?, f.half(58, 46)?);
    let section = |n: u64| headers.wrapping_add(n.wrapping_mul(size));
    let mut symbols = Vec::new();
    for n in 0..count {
        let at = section(n);
        if f.get(at.wrapping_add(4), 4)? != SHT_SYMTAB {
            continue;
        }
        let table = f.slice(f.word(at, 24, 16)?, f.word(at, 32, 20)?)?;
        let names = section(f.get(at.wrapping_add(if f.wide { 40 } else { 24 }), 4)?);
        let names = f.slice(f.word(names, 24, 16)?, f.word(names, 32, 20)?)?;
        for entry in table.chunks_exact(if f.wide { 24 } else { 16 }) {
            let (name, value) = (
                le(entry, 0, 4).unwrap_or(0) as usize,
                if f.wide {
                    le(entry, 8, 8)
                } else {
                    le(entry, 4, 4)
                },
            );
            let text = names
                .get(name..)
                .and_then(|t| t.split(|b| *b == 0).next())
                .unwrap_or(&[]);
            // Mapping and local labels without a name are of no use to anybody; long names are cut by nobody sane.
            if text.is_empty() || text.len() > 256 {
                continue;
            }
            if let (Ok(text), Some(value)) = (std::str::from_utf8(text), value) {
                symbols.push((text.to_owned(), value));
            }
            if symbols.len() >= MAX_SYMBOLS {
                return Ok(symbols);
            }
        }
    }
    Ok(symbols)
}
