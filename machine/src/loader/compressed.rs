//! Unpacking: gzip, zstd, and the EFI zboot wrapper around either.

use super::{LoadError, le};
use std::io::Read;

/// Wrappers unpacked one inside the other, at most.
const MAX_LAYERS: usize = 3;

/// What `data` contains once gzip, zstd and zboot are taken off; `data` itself if it has none of them. At most `limit` bytes.
///
/// # Errors
/// A wrapper is damaged, of an unknown kind, or holds more than `limit` bytes.
pub fn unpack(file: &str, mut data: Vec<u8>, limit: u64) -> Result<Vec<u8>, LoadError> {
    for _ in 0..MAX_LAYERS {
        data = if data.starts_with(&[0x1f, 0x8b]) {
            read_all(
                file,
                "gzip file",
                flate2::read::MultiGzDecoder::new(&data[..]),
                limit,
            )?
        } else if data.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            let decoder = ruzstd::decoding::StreamingDecoder::new(&data[..])
                .map_err(|e| LoadError::damaged(file, "zstd file", e.to_string()))?;
            read_all(file, "zstd file", decoder, limit)?
        } else if data.starts_with(b"MZ") && data.get(4..8) == Some(b"zimg") {
            zboot(file, &data)?
        } else {
            break;
        };
    }
    if data.len() as u64 > limit {
        return Err(LoadError::TooLarge {
            file: file.to_owned(),
            limit,
        });
    }
    Ok(data)
}

fn read_all(
    file: &str,
    format: &'static str,
    reader: impl Read,
    limit: u64,
) -> Result<Vec<u8>, LoadError> {
    let mut out = Vec::new();
    reader
        .take(limit.saturating_add(1))
        .read_to_end(&mut out)
        .map_err(|e| LoadError::damaged(file, format, format!("it cannot be unpacked ({e})")))?;
    if out.len() as u64 > limit {
        return Err(LoadError::TooLarge {
            file: file.to_owned(),
            limit,
        });
    }
    Ok(out)
}

/// The payload of an EFI zboot image: a PE file whose header names offset (at 8), length (at 12) and compression (at 24).
fn zboot(file: &str, data: &[u8]) -> Result<Vec<u8>, LoadError> {
    let bad = |what: &str| LoadError::damaged(file, "EFI zboot image", what);
    let at = le(data, 8, 4).ok_or_else(|| bad("it is cut off"))? as usize;
    let len = le(data, 12, 4).ok_or_else(|| bad("it is cut off"))? as usize;
    let kind = data.get(24..56).ok_or_else(|| bad("it is cut off"))?;
    let kind = kind.split(|b| *b == 0).next().unwrap_or(&[]);
    if !matches!(kind, b"gzip" | b"zstd22" | b"zstd") {
        return Err(bad(&format!(
            "its payload is packed with {}, and gzip and zstd are known",
            String::from_utf8_lossy(kind)
        )));
    }
    let payload = at
        .checked_add(len)
        .and_then(|end| data.get(at..end))
        .ok_or_else(|| bad("its payload is cut off"))?;
    if !payload.starts_with(&[0x1f, 0x8b]) && !payload.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return Err(bad("its payload is not packed as the header says"));
    }
    Ok(payload.to_vec())
}
