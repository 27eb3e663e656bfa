mod objdump;

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

/// A small generator of test words (xorshift64*).
pub(crate) struct Rng(pub u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }
}

fn all_rows() -> Vec<&'static Row> {
    rows().collect()
}

#[test]
fn overlapping_lines_have_a_defined_order() {
    let rows = all_rows();
    for (n, a) in rows.iter().enumerate() {
        for b in &rows[n + 1..] {
            let Some(both) = a.pattern.intersection(&b.pattern) else {
                continue;
            };
            // Either one is a special case of the other, or a third line is exactly what they have in common.
            let nested = a.pattern.mask != b.pattern.mask
                && (both.mask == a.pattern.mask || both.mask == b.pattern.mask);
            let arbitrated = rows.iter().any(|c| c.pattern == both && c != a && c != b);
            assert!(nested || arbitrated, "{a:?} and {b:?}");
        }
    }
}

#[test]
fn compressed_lines_are_short_and_others_long() {
    for r in table::ROWS {
        assert_eq!((r.pattern.bits, r.pattern.value & 3), (32, 3), "{r:?}");
    }
    for r in c::ROWS {
        assert!(r.pattern.bits == 16 && r.pattern.value & 3 != 3, "{r:?}");
        assert_eq!(r.pattern.mask & 0xe003, 0xe003, "{r:?}");
    }
}

#[test]
fn every_line_is_found_from_its_words() {
    let mut rng = Rng(0x1234_5678_9abc_def1);
    let rows = all_rows();
    for r in &rows {
        let mut seen = 0;
        for n in 0..300 {
            let fill = [0, u32::MAX][..]
                .get(n)
                .copied()
                .unwrap_or_else(|| rng.next());
            let word = r.pattern.fill(fill);
            let found = row(word).expect("some line");
            if found == *r {
                seen += 1;
                assert_eq!(decode(word).op, r.op);
            } else {
                assert!(
                    found.pattern.specificity() > r.pattern.specificity()
                        && found.pattern.matches(word),
                    "{found:?} for {r:?}"
                );
            }
        }
        assert!(seen > 0, "{r:?}");
    }
}

#[test]
fn the_index_agrees_with_a_plain_search() {
    let mut rng = Rng(42);
    let rows = all_rows();
    for n in 0..200_000 {
        let word = if n < 65536 { n } else { rng.next() };
        let word = if length(word) == 2 {
            word & 0xffff
        } else {
            word
        };
        let bits = if length(word) == 2 { 16 } else { 32 };
        let plain = rows
            .iter()
            .filter(|r| r.pattern.bits == bits && r.pattern.matches(word))
            .max_by_key(|r| r.pattern.specificity())
            .copied();
        assert_eq!(row(word), plain, "{word:#x}");
    }
}

#[test]
fn arbitrary_words_are_valid_and_reach_every_operation() {
    let mut rng = Rng(7);
    let mut seen = HashSet::new();
    for _ in 0..100_000 {
        let word = arbitrary(rng.next(), rng.next());
        let i = decode(word);
        assert_ne!(i.op, Op::Illegal, "{word:#x}");
        seen.insert(i.op);
    }
    for r in rows().filter(|r| r.op != Op::Illegal) {
        assert!(seen.contains(&r.op), "{r:?}");
    }
}

fn fields(bits: u32) -> (Op, u8, u8, u8, i32, u8) {
    let i = decode(bits);
    (i.op, i.rd, i.rs1, i.rs2, i.imm, i.len)
}

#[test]
fn compressed_instructions_expand() {
    assert_eq!(fields(0x1141), (Op::Addi, 2, 2, 0, -16, 2));
    assert_eq!(fields(0x7139), (Op::Addi, 2, 2, 0, -64, 2));
    assert_eq!(fields(0x757d), (Op::Lui, 10, 0, 0, -4096, 2));
    assert_eq!(fields(0x8082), (Op::Jalr, 0, 1, 0, 0, 2));
    assert_eq!(fields(0x9502), (Op::Jalr, 1, 10, 0, 0, 2));
    assert_eq!(fields(0x852e), (Op::Add, 10, 0, 11, 0, 2));
    assert_eq!(fields(0x952e), (Op::Add, 10, 10, 11, 0, 2));
    assert_eq!(fields(0x0048), (Op::Addi, 10, 2, 0, 4, 2));
    assert_eq!(fields(0xc144), (Op::Sw, 0, 10, 9, 4, 2));
    assert_eq!(fields(0xe02a), (Op::Sd, 0, 2, 10, 0, 2));
    assert_eq!(fields(0x9002).0, Op::Ebreak);
    // Hints stand for instructions without effect.
    assert_eq!(fields(0x0001), (Op::Addi, 0, 0, 0, 0, 2));
    assert_eq!(fields(0x900a).0, Op::NtlP1);
    assert_eq!(fields(0x6081).0, Op::CMop);
}

#[test]
fn reserved_encodings_are_illegal() {
    let words = [
        0x0000,          // defined illegal
        0x0004,          // c.addi4spn, immediate 0
        0x4002,          // c.lwsp to x0
        0x6002,          // c.ldsp to x0
        0x2001,          // c.addiw to x0
        0x6101,          // c.addi16sp, immediate 0
        0x6501,          // c.lui, immediate 0
        0x8002,          // c.jr x0
        0x8000 | 0x1c00, // quadrant 0, funct3 100, unused
        0x9c79,          // Zcb, unused
        0x9c7d,
        0xffff_ffff,
        0x0000_001f, // longer than 32 bits
        0x0000_007f,
        0x0400_1013, // slli with a 7-bit count
        0x0200_101b, // slliw with a 6-bit count
        0xf800_002f,
    ];
    for w in words {
        let i = decode(w);
        assert_eq!(
            (i.op, i.bits, i.imm),
            (Op::Illegal, w, w as i32),
            "{w:#x}: {}",
            i.disassemble(0)
        );
    }
}

#[test]
fn without_an_extension_its_words_are_something_else() {
    let without = |e| Extensions::ALL.without(e);
    assert_eq!(
        decode_enabled(0x02b5_0533, without(Extension::M)).op,
        Op::Illegal
    );
    assert_eq!(
        decode_enabled(0x0100_000f, without(Extension::Zihintpause)).op,
        Op::Fence
    );
    assert_eq!(
        decode_enabled(0x0005_6013, without(Extension::Zicbop)).op,
        Op::Ori
    );
    assert_eq!(
        decode_enabled(0x6081, without(Extension::Zcmop)).op,
        Op::Illegal
    );
    // c.mul needs both Zcb and M.
    assert_eq!(decode(0x9d4d).op, Op::Mul);
    assert_eq!(
        decode_enabled(0x9d4d, without(Extension::M)).op,
        Op::Illegal
    );
    assert_eq!(
        decode_enabled(0x9d4d, without(Extension::Zcb)).op,
        Op::Illegal
    );
    let needs = decode(0x9d4d).extension();
    assert_eq!(
        needs.iter().collect::<Vec<_>>(),
        [Extension::M, Extension::Zcb]
    );
}

/// Puts the operands of a standard branch, jump or compressed jump together again, bit by bit from the manual's diagrams.
fn scatter(imm: i32, map: &[(u32, u32)]) -> u32 {
    map.iter()
        .map(|&(from, to)| ((imm as u32 >> from) & 1) << to)
        .sum()
}

proptest! {
    #[test]
    fn branch_offsets_round_trip(imm in -2048i32..2048) {
        let imm = imm * 2;
        let mut map = vec![(12, 31), (11, 7)];
        map.extend((5..=10).map(|n| (n, n + 20)));
        map.extend((1..=4).map(|n| (n, n + 7)));
        prop_assert_eq!(decode(0x63 | scatter(imm, &map)).imm, imm);
    }

    #[test]
    fn jump_offsets_round_trip(imm in -(1i32 << 19)..1 << 19) {
        let imm = imm * 2;
        let mut map = vec![(20, 31), (11, 20)];
        map.extend((1..=10).map(|n| (n, n + 20)));
        map.extend((12..=19).map(|n| (n, n)));
        prop_assert_eq!(decode(0x6f | scatter(imm, &map)).imm, imm);
    }

    #[test]
    fn compressed_jump_offsets_round_trip(imm in -1024i32..1024) {
        let imm = imm * 2;
        let map = [(11, 12), (4, 11), (9, 10), (8, 9), (10, 8), (6, 7), (7, 6), (3, 5), (2, 4), (1, 3), (5, 2)];
        prop_assert_eq!(decode(0xa001 | scatter(imm, &map)).imm, imm);
    }

    #[test]
    fn any_word_decodes_and_prints(word: u32) {
        let i = decode(word);
        prop_assert_eq!(i.len, length(word));
        prop_assert!(!i.disassemble(0x8000_0000).is_empty());
    }
}
