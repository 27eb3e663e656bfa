//! Output to a file, input from another one if wanted.

use super::stream::{Ends, Peer, StreamBackend};
use std::fs::File;
use std::io;
use std::path::Path;

/// Opens `output` (created, emptied) for what the device writes and `input`, if given, for what it reads.
///
/// # Errors
/// A file cannot be opened, or the host has no threads or descriptors left.
pub fn open(output: &Path, input: Option<&Path>) -> io::Result<StreamBackend> {
    let output = File::create(output)?.into();
    let input = input.map(File::open).transpose()?.map(Into::into);
    StreamBackend::new(
        Peer::Fixed(Ends {
            input,
            output: Some(output),
        }),
        None,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Wiring;
    use crate::char::CharBackend;

    #[test]
    fn everything_arrives() {
        let dir = std::env::temp_dir().join(format!("ambidex-file-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let (to, from) = (dir.join("out"), dir.join("in"));
        let text: Vec<u8> = (0..300_000u32).map(|n| (n / 7) as u8).collect();
        std::fs::write(&from, &text).unwrap();
        let (w, wires) = Wiring::test();
        let mut back = open(&to, Some(&from)).unwrap();
        back.attach(w.backend, 0);
        let (mut got, mut sent) = (Vec::<u8>::new(), 0);
        let mut buf = [0; 1000];
        while got.len() < text.len() || sent < text.len() {
            let n = back.read(&mut buf);
            got.extend(&buf[..n]);
            let m = back.write(&text[sent..text.len().min(sent + 5000)]);
            sent += m;
            if n == 0 && m == 0 {
                wires.notify.wait();
            }
        }
        drop(back);
        assert!(got == text);
        assert!(
            std::fs::read(&to).unwrap() == text,
            "dropping writes out the rest"
        );
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
