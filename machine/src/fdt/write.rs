//! Writing: chapter 5 of the specification, version 17.

use super::{BEGIN_NODE, END, END_NODE, Fdt, HEADER, MAGIC, Node, PROP};
use std::collections::BTreeMap;

#[derive(Default)]
struct Writer {
    structure: Vec<u8>,
    strings: Vec<u8>,
    known: BTreeMap<String, u32>,
}

impl Writer {
    fn cell(&mut self, value: u32) {
        self.structure.extend(value.to_be_bytes());
    }

    fn pad(&mut self) {
        self.structure
            .resize(self.structure.len().next_multiple_of(4), 0);
    }

    fn string(&mut self, name: &str) -> u32 {
        if let Some(at) = self.known.get(name) {
            return *at;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(name.bytes().filter(|b| *b != 0));
        self.strings.push(0);
        self.known.insert(name.to_owned(), at);
        at
    }

    fn begin(&mut self, node: &Node) {
        self.cell(BEGIN_NODE);
        self.structure.extend(node.name.bytes().filter(|b| *b != 0));
        self.structure.push(0);
        self.pad();
        for prop in &node.props {
            let name = self.string(&prop.name);
            self.cell(PROP);
            self.cell(prop.value.len() as u32);
            self.cell(name);
            self.structure.extend(&prop.value);
            self.pad();
        }
    }
}

impl Fdt {
    /// The flattened tree.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::default();
        let mut todo = vec![(&self.root, false)];
        while let Some((node, end)) = todo.pop() {
            if end {
                w.cell(END_NODE);
                continue;
            }
            w.begin(node);
            todo.push((node, true));
            todo.extend(node.children.iter().rev().map(|c| (c, false)));
        }
        w.cell(END);
        let reserve_at = HEADER;
        let structure_at = reserve_at + 16 * (self.reserved.len() + 1);
        let strings_at = structure_at + w.structure.len();
        let total = (strings_at + w.strings.len()).next_multiple_of(8);
        let header = [
            MAGIC,
            total as u32,
            structure_at as u32,
            strings_at as u32,
            reserve_at as u32,
            17,
            16,
            self.boot_cpu,
            w.strings.len() as u32,
            w.structure.len() as u32,
        ];
        let mut out: Vec<u8> = header.iter().flat_map(|h| h.to_be_bytes()).collect();
        for (at, len) in self.reserved.iter().chain(&[(0, 0)]) {
            out.extend(at.to_be_bytes());
            out.extend(len.to_be_bytes());
        }
        out.extend(w.structure);
        out.extend(w.strings);
        out.resize(total, 0);
        out
    }
}
