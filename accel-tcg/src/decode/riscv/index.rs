//! From an instruction word to its line.
//!
//! A first table is indexed by the opcode and `funct3` (compressed: quadrant, `funct3` and bits 11 to 10). Its long lists, those of OP-FP
//! above all, are divided again by bits 31 to 25. What is left to search are a few masks.

use std::sync::LazyLock;

use super::ext::Extensions;
use super::table::{ROWS, Row};
use super::{c, length};

/// Lists longer than this are divided.
const LONG: usize = 4;

#[derive(Clone, Copy, Default)]
struct Range {
    start: u16,
    len: u16,
}

#[derive(Clone, Copy)]
struct Entry {
    mask: u32,
    value: u32,
    row: &'static Row,
}

struct Index {
    /// Ranges of `entries`, or, with [`DIVIDED`], a start in `second`.
    first: Vec<Range>,
    second: Vec<Range>,
    entries: Vec<Entry>,
    compressed: Vec<Range>,
}

/// [`Range::len`] of a list that is divided.
const DIVIDED: u16 = u16::MAX;

const fn key(w: u32) -> usize {
    ((w >> 2 & 31) | (w >> 12 & 7) << 5) as usize
}

const fn key16(w: u32) -> usize {
    ((w & 3) | (w >> 13 & 7) << 2 | (w >> 10 & 3) << 5) as usize
}

/// Appends the lines that words with `value` in the bits of `mask` may belong to, the most specific first.
fn list(entries: &mut Vec<Entry>, rows: &'static [Row], mask: u32, value: u32) -> Range {
    let start = entries.len();
    entries.extend(
        rows.iter()
            .filter(|r| (r.pattern.value ^ value) & r.pattern.mask & mask == 0)
            .map(|row| Entry {
                mask: row.pattern.mask,
                value: row.pattern.value,
                row,
            }),
    );
    entries[start..].sort_by_key(|e| std::cmp::Reverse(e.row.pattern.specificity()));
    Range {
        start: start as u16,
        len: (entries.len() - start) as u16,
    }
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let mut x = Index {
        first: Vec::new(),
        second: Vec::new(),
        entries: Vec::new(),
        compressed: Vec::new(),
    };
    for k in 0..256u32 {
        let (mask, value) = (0x707f, (k & 31) << 2 | 3 | (k >> 5) << 12);
        let all = list(&mut x.entries, ROWS, mask, value);
        if all.len as usize <= LONG {
            x.first.push(all);
            continue;
        }
        x.entries.truncate(all.start as usize);
        x.first.push(Range {
            start: x.second.len() as u16,
            len: DIVIDED,
        });
        for top in 0..128u32 {
            let r = list(&mut x.entries, ROWS, mask | 0xfe00_0000, value | top << 25);
            x.second.push(r);
        }
    }
    for k in 0..128u32 {
        let r = list(
            &mut x.entries,
            c::ROWS,
            0xec03,
            (k & 3) | (k >> 2 & 7) << 13 | (k >> 5 & 3) << 10,
        );
        x.compressed.push(r);
    }
    x
});

/// The line for a word among those the extensions allow.
#[inline]
pub(super) fn find(bits: u32, enabled: Extensions) -> Option<&'static Row> {
    let x = &*INDEX;
    let (word, range) = if length(bits) == 2 {
        (bits & 0xffff, x.compressed[key16(bits)])
    } else {
        let r = x.first[key(bits)];
        if r.len == DIVIDED {
            (bits, x.second[r.start as usize + (bits >> 25) as usize])
        } else {
            (bits, r)
        }
    };
    let entries = &x.entries[range.start as usize..][..range.len as usize];
    entries
        .iter()
        .find(|e| {
            word & e.mask == e.value && enabled.contains(e.row.needs.union(e.row.op.extension()))
        })
        .map(|e| e.row)
}
