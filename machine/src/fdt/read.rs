//! Reading, with bounds on everything.

use super::{BEGIN_NODE, END, END_NODE, Fdt, FdtError, HEADER, MAGIC, NOP, Node, PROP, Prop};

/// Largest tree read, in bytes.
pub const MAX_BYTES: usize = 2 << 20;
/// Deepest nesting read.
pub const MAX_DEPTH: usize = 64;
/// Most nodes and properties read, together.
pub const MAX_NODES: usize = 1 << 16;
const MAX_RESERVED: usize = 1 << 10;

fn damaged(at: usize, what: &'static str) -> FdtError {
    FdtError::Damaged { at, what }
}

fn cell(bytes: &[u8], at: usize) -> Result<u32, FdtError> {
    let end = at
        .checked_add(4)
        .ok_or(damaged(at, "an offset is beyond the end"))?;
    let b = bytes
        .get(at..end)
        .ok_or(damaged(at, "it ends in the middle"))?;
    Ok(b.iter().fold(0, |v, b| v << 8 | u32::from(*b)))
}

fn text(bytes: &[u8], at: usize) -> Result<&str, FdtError> {
    let rest = bytes
        .get(at..)
        .ok_or(damaged(at, "a string is beyond the end"))?;
    let end = rest
        .iter()
        .position(|b| *b == 0)
        .ok_or(damaged(at, "a string has no end"))?;
    std::str::from_utf8(&rest[..end]).map_err(|_| damaged(at, "a string is no UTF-8"))
}

impl Fdt {
    /// Reads a flattened tree. Bytes behind it are ignored.
    ///
    /// # Errors
    /// It is no tree, is damaged, or beyond the bounds of this module.
    pub fn from_bytes(bytes: &[u8]) -> Result<Fdt, FdtError> {
        if cell(bytes, 0).ok() != Some(MAGIC) {
            return Err(FdtError::Magic);
        }
        let field = |n: usize| cell(bytes, 4 * n);
        let total = field(1)? as usize;
        if total > MAX_BYTES {
            return Err(FdtError::TooBig("large (2 MiB are read)"));
        }
        let bytes = bytes
            .get(..total)
            .filter(|b| b.len() >= HEADER)
            .ok_or(damaged(4, "it is shorter than its header says"))?;
        let (version, compatible) = (field(5)?, field(6)?);
        if version < 17 || compatible > 17 {
            return Err(FdtError::Version {
                version,
                compatible,
            });
        }
        let (structure_at, strings_at, reserve_at) =
            (field(2)? as usize, field(3)? as usize, field(4)? as usize);
        let (strings_len, structure_len) = (field(8)? as usize, field(9)? as usize);
        let part = |at: usize, len: usize, what| {
            at.checked_add(len)
                .and_then(|end| bytes.get(at..end))
                .ok_or(damaged(at, what))
        };
        let strings = part(
            strings_at,
            strings_len,
            "the strings block is beyond the end",
        )?;
        let structure = part(
            structure_at,
            structure_len,
            "the structure block is beyond the end",
        )?;
        if structure_at % 4 != 0 {
            return Err(damaged(structure_at, "the structure block is not aligned"));
        }
        let reserved = read_reserved(bytes, reserve_at)?;
        let root = read_nodes(structure, structure_at, strings)?;
        Ok(Fdt {
            root,
            reserved,
            boot_cpu: field(7)?,
        })
    }
}

fn read_reserved(bytes: &[u8], mut at: usize) -> Result<Vec<(u64, u64)>, FdtError> {
    let mut list = Vec::new();
    loop {
        let pair = |n: usize| {
            Ok::<u64, FdtError>(
                u64::from(cell(bytes, at + 4 * n)?) << 32 | u64::from(cell(bytes, at + 4 * n + 4)?),
            )
        };
        let entry = (pair(0)?, pair(2)?);
        if entry == (0, 0) {
            return Ok(list);
        }
        if list.len() >= MAX_RESERVED {
            return Err(FdtError::TooBig("large (too many memory reservations)"));
        }
        list.push(entry);
        at += 16;
    }
}

fn read_nodes(structure: &[u8], base: usize, strings: &[u8]) -> Result<Node, FdtError> {
    let mut open: Vec<Node> = Vec::new();
    let mut root = None;
    let mut at = 0;
    let mut count = 0;
    loop {
        let here = base + at;
        let token =
            cell(structure, at).map_err(|_| damaged(here, "the structure block has no end"))?;
        at += 4;
        if matches!(token, BEGIN_NODE | PROP) {
            count += 1;
            if count > MAX_NODES {
                return Err(FdtError::TooBig("large (too many nodes and properties)"));
            }
        }
        match token {
            BEGIN_NODE => {
                if root.is_some() {
                    return Err(damaged(here, "there is a second root"));
                }
                if open.len() >= MAX_DEPTH {
                    return Err(FdtError::TooBig("deep (64 levels are read)"));
                }
                let name = text(structure, at)?;
                at = (at + name.len() + 1).next_multiple_of(4);
                open.push(Node::new(name));
            }
            END_NODE => {
                let node = open
                    .pop()
                    .ok_or(damaged(here, "a node ends that did not begin"))?;
                match open.last_mut() {
                    Some(parent) => parent.children.push(node),
                    None => root = Some(node),
                }
            }
            PROP => {
                let (len, name_at) = (
                    cell(structure, at)? as usize,
                    cell(structure, at + 4)? as usize,
                );
                at += 8;
                let value = at
                    .checked_add(len)
                    .and_then(|end| structure.get(at..end))
                    .ok_or(damaged(
                        here,
                        "a property is longer than the structure block",
                    ))?;
                at = (at + len).next_multiple_of(4);
                let name = text(strings, name_at)?.to_owned();
                let node = open
                    .last_mut()
                    .ok_or(damaged(here, "a property is outside of nodes"))?;
                node.props.push(Prop {
                    name,
                    value: value.to_vec(),
                });
            }
            NOP => {}
            END => {
                return match root {
                    Some(root) if open.is_empty() => Ok(root),
                    _ => Err(damaged(here, "it ends inside a node")),
                };
            }
            _ => return Err(damaged(here, "there is an unknown token")),
        }
    }
}
