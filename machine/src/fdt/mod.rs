//! Flattened device trees: a tree that can be built, written, read and changed.
//!
//! Written from the Devicetree Specification 0.4, chapter 5 (version 17 of the format). The reader takes hostile input: it
//! checks every offset, and bounds size, depth and number of nodes.

mod read;
mod write;

pub use read::{MAX_BYTES, MAX_DEPTH, MAX_NODES};

use std::fmt::Write as _;

pub(crate) const MAGIC: u32 = 0xd00d_feed;
pub(crate) const BEGIN_NODE: u32 = 1;
pub(crate) const END_NODE: u32 = 2;
pub(crate) const PROP: u32 = 3;
pub(crate) const NOP: u32 = 4;
pub(crate) const END: u32 = 9;
pub(crate) const HEADER: usize = 40;

/// Why a device tree was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FdtError {
    /// It is no device tree blob.
    #[error(
        "the device tree does not begin with d00dfeed: give a flattened device tree (.dtb), made with dtc -O dtb"
    )]
    Magic,
    /// Of a version that is not understood.
    #[error(
        "the device tree has version {version}, compatible down to {compatible}; version 17 is understood: make it anew with dtc -V 17"
    )]
    Version {
        /// Its version.
        version: u32,
        /// The oldest version it is compatible with.
        compatible: u32,
    },
    /// It contradicts itself.
    #[error("the device tree is damaged at byte {at:#x}: {what}")]
    Damaged {
        /// Where.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// It is beyond the reader's bounds.
    #[error("the device tree is too {0}")]
    TooBig(&'static str),
}

/// A property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prop {
    /// Its name.
    pub name: String,
    /// Its value, big-endian.
    pub value: Vec<u8>,
}

/// A node with its properties and children, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name, with the unit address.
    pub name: String,
    /// Its properties.
    pub props: Vec<Prop>,
    /// Its children.
    pub children: Vec<Node>,
}

/// A device tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fdt {
    /// The root, whose name is empty.
    pub root: Node,
    /// Reserved memory: addresses and lengths.
    pub reserved: Vec<(u64, u64)>,
    /// The physical id of the boot CPU.
    pub boot_cpu: u32,
}

impl Node {
    /// An empty node.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Node {
        Node {
            name: name.into(),
            ..Node::default()
        }
    }

    /// The value of a property.
    #[must_use]
    pub fn prop(&self, name: &str) -> Option<&[u8]> {
        self.props
            .iter()
            .find(|p| p.name == name)
            .map(|p| &p.value[..])
    }

    /// A property that is a string or a list of them; the first.
    #[must_use]
    pub fn string(&self, name: &str) -> Option<&str> {
        let value = self.prop(name)?;
        let end = value.iter().position(|b| *b == 0)?;
        std::str::from_utf8(&value[..end]).ok()
    }

    /// A property of one 32-bit cell.
    #[must_use]
    pub fn u32(&self, name: &str) -> Option<u32> {
        self.prop(name)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// Sets a property, replacing one of that name.
    pub fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) -> &mut Node {
        let value = value.into();
        match self.props.iter_mut().find(|p| p.name == name) {
            Some(p) => p.value = value,
            None => self.props.push(Prop {
                name: name.to_owned(),
                value,
            }),
        }
        self
    }

    /// Sets a property without a value.
    pub fn set_flag(&mut self, name: &str) -> &mut Node {
        self.set(name, [])
    }

    /// Sets a property of 32-bit cells.
    pub fn set_cells(&mut self, name: &str, cells: &[u32]) -> &mut Node {
        self.set(
            name,
            cells
                .iter()
                .flat_map(|c| c.to_be_bytes())
                .collect::<Vec<u8>>(),
        )
    }

    /// Sets a property of 64-bit values, two cells each.
    pub fn set_u64s(&mut self, name: &str, values: &[u64]) -> &mut Node {
        self.set(
            name,
            values
                .iter()
                .flat_map(|c| c.to_be_bytes())
                .collect::<Vec<u8>>(),
        )
    }

    /// Sets a string property.
    pub fn set_string(&mut self, name: &str, text: &str) -> &mut Node {
        self.set_strings(name, &[text])
    }

    /// Sets a list of strings. A NUL in a text ends it.
    pub fn set_strings(&mut self, name: &str, texts: &[&str]) -> &mut Node {
        let mut value = Vec::new();
        for text in texts {
            value.extend(text.bytes().take_while(|b| *b != 0));
            value.push(0);
        }
        self.set(name, value)
    }

    /// Removes a property.
    pub fn remove(&mut self, name: &str) {
        self.props.retain(|p| p.name != name);
    }

    /// A child by its full name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|c| c.name == name)
    }

    /// A child by its full name, made if it is not there.
    pub fn child_mut(&mut self, name: &str) -> &mut Node {
        let at = match self.children.iter().position(|c| c.name == name) {
            Some(at) => at,
            None => {
                self.children.push(Node::new(name));
                self.children.len() - 1
            }
        };
        &mut self.children[at]
    }

    /// Adds a child and returns it.
    pub fn add(&mut self, child: Node) -> &mut Node {
        self.children.push(child);
        let last = self.children.len() - 1;
        &mut self.children[last]
    }
}

impl Fdt {
    /// A node by its path, such as `/soc/serial@10000000`.
    #[must_use]
    pub fn node(&self, path: &str) -> Option<&Node> {
        path.split('/')
            .filter(|p| !p.is_empty())
            .try_fold(&self.root, |n, p| n.child(p))
    }

    /// The tree in a form like source text, for people and tests.
    #[must_use]
    pub fn to_source(&self) -> String {
        let mut out = String::from("/dts-v1/;\n\n");
        for (at, len) in &self.reserved {
            let _ = writeln!(out, "/memreserve/ {at:#x} {len:#x};");
        }
        let mut todo = vec![(&self.root, 0, false)];
        while let Some((node, depth, close)) = todo.pop() {
            let tabs = "\t".repeat(depth);
            if close {
                let _ = writeln!(out, "{tabs}}};");
                continue;
            }
            let name = if depth == 0 { "/" } else { &node.name };
            let _ = writeln!(out, "{tabs}{name} {{");
            for p in &node.props {
                let _ = writeln!(out, "{tabs}\t{}{};", p.name, source_value(&p.value));
            }
            todo.push((node, depth, true));
            todo.extend(node.children.iter().rev().map(|c| (c, depth + 1, false)));
        }
        out
    }
}

/// A value as text if it looks like strings, as cells, or as bytes.
fn source_value(value: &[u8]) -> String {
    if value.is_empty() {
        return String::new();
    }
    if let Some((0, text)) = value.split_last().map(|(l, t)| (*l, t)) {
        let strings: Vec<&[u8]> = text.split(|b| *b == 0).collect();
        if strings.iter().all(|s| {
            !s.is_empty()
                && s.iter()
                    .all(|b| (0x20..0x7f).contains(b) && *b != b'"' && *b != b'\\')
        }) {
            let quoted: Vec<String> = strings
                .iter()
                .map(|s| format!("\"{}\"", String::from_utf8_lossy(s)))
                .collect();
            return format!(" = {}", quoted.join(", "));
        }
    }
    if value.len().is_multiple_of(4) {
        let cells: Vec<String> = value
            .chunks_exact(4)
            .map(|c| {
                format!(
                    "0x{}",
                    c.iter().map(|b| format!("{b:02x}")).collect::<String>()
                )
            })
            .collect();
        return format!(" = <{}>", cells.join(" "));
    }
    format!(
        " = [{}]",
        value
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<Vec<_>>()
            .join(" ")
    )
}

#[cfg(test)]
mod tests;
