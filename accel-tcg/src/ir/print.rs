//! Listings of blocks.

use core::fmt;

use super::{Block, Inst, Val};
use crate::fp::Format;
use crate::sem::{IntFormat, JumpKind, MemOp, Round, Slot, Width};

/// A block with names for the guest's registers; print it with `{}`.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    block: &'a Block,
    slot: fn(Slot) -> String,
}

impl Block {
    /// The block in readable form, registers named by `slot`.
    pub fn listing(&self, slot: fn(Slot) -> String) -> Listing<'_> {
        Listing { block: self, slot }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.listing(|s| format!("s{}", s.0)).fmt(f)
    }
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, inst) in self.block.insts.iter().enumerate() {
            match inst {
                Inst::Nop => continue,
                Inst::Insn { index } => match self.block.insns.get(usize::from(*index)) {
                    Some(info) => {
                        writeln!(
                            f,
                            "{:#x}:",
                            self.block.pc.wrapping_add(u64::from(info.offset))
                        )?;
                    }
                    None => writeln!(f, "instruction {index}:")?,
                },
                _ => {
                    f.write_str("  ")?;
                    if inst.produces() {
                        write!(f, "v{i} = ")?;
                    }
                    self.operation(f, inst)?;
                    f.write_str("\n")?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl Listing<'_> {
    fn operation(&self, out: &mut fmt::Formatter<'_>, inst: &Inst) -> fmt::Result {
        match *inst {
            Inst::Insn { .. } | Inst::Nop => Ok(()),
            Inst::Imm(k) => write!(out, "{k:#x}"),
            Inst::Get(s) => write!(out, "get {}", (self.slot)(s)),
            Inst::Set(s, v) => write!(out, "set {}, {v}", (self.slot)(s)),
            Inst::Bin { op, w, a, b } => write!(out, "{}{} {a}, {b}", lower(op), width(w)),
            Inst::Un { op, w, a } => write!(out, "{}{} {a}", lower(op), width(w)),
            Inst::Ext { signed, from, a } => write!(
                out,
                "{}{} {a}",
                if signed { "sext" } else { "zext" },
                width(from)
            ),
            Inst::Cmp { c, w, a, b } => write!(out, "cmp.{}{} {a}, {b}", lower(c), width(w)),
            Inst::Select { c, w, a, b, t, f } => {
                write!(out, "select.{}{} {a}, {b} ? {t} : {f}", lower(c), width(w))
            }
            Inst::Load { m, addr, disp } => write!(out, "load{} [{addr}{}]", mem(m), Disp(disp)),
            Inst::Store {
                m,
                addr,
                value,
                disp,
            } => write!(out, "store{} [{addr}{}], {value}", mem(m), Disp(disp)),
            Inst::Rmw { op, m, addr, value } => {
                write!(out, "rmw.{}{} [{addr}], {value}", lower(op), mem(m))
            }
            Inst::Cas {
                m,
                addr,
                expected,
                new,
            } => write!(out, "cas{} [{addr}], {expected}, {new}", mem(m)),
            Inst::LoadReserved { m, addr } => write!(out, "load_reserved{} [{addr}]", mem(m)),
            Inst::StoreConditional { m, addr, value } => {
                write!(out, "store_conditional{} [{addr}], {value}", mem(m))
            }
            Inst::Fence(kind) => write!(out, "fence.{}", lower(kind)),
            Inst::FpUnbox { f, a } => write!(out, "unbox{} {a}", format_name(f)),
            Inst::FpBox { f, a } => write!(out, "box{} {a}", format_name(f)),
            Inst::FpBin { op, f, rm, a, b } => write!(
                out,
                "f{}{}{} {a}, {b}",
                lower(op),
                format_name(f),
                round(rm)
            ),
            Inst::FpSqrt { f, rm, a } => write!(out, "fsqrt{}{} {a}", format_name(f), round(rm)),
            Inst::FpFma {
                f,
                rm,
                neg_product,
                neg_addend,
                a,
                b,
                c,
            } => {
                let (p, s) = (
                    if neg_product { "-" } else { "" },
                    if neg_addend { "-" } else { "+" },
                );
                write!(
                    out,
                    "ffma{}{} {p}{a} * {b} {s} {c}",
                    format_name(f),
                    round(rm)
                )
            }
            Inst::FpCmp {
                c,
                f,
                signaling,
                a,
                b,
            } => {
                let s = if signaling { ".signaling" } else { "" };
                write!(out, "fcmp.{}{}{s} {a}, {b}", lower(c), format_name(f))
            }
            Inst::FpMinMax { op, f, a, b } => {
                write!(out, "f{}{} {a}, {b}", lower(op), format_name(f))
            }
            Inst::FpToInt { f, rm, to, a } => {
                write!(out, "fto{}{}{} {a}", int(to), format_name(f), round(rm))
            }
            Inst::FpFromInt { f, rm, from, a } => {
                write!(out, "ffrom{}{}{} {a}", int(from), format_name(f), round(rm))
            }
            Inst::FpConvert { from, to, rm, a } => {
                write!(
                    out,
                    "fconvert{}{}{} {a}",
                    format_name(from),
                    format_name(to),
                    round(rm)
                )
            }
            Inst::FpRound { f, rm, exact, a } => {
                write!(
                    out,
                    "fround{}{}{} {a}",
                    if exact { ".exact" } else { "" },
                    format_name(f),
                    round(rm)
                )
            }
            Inst::FpClassify { f, a } => write!(out, "fclassify{} {a}", format_name(f)),
            Inst::FpToIntMod { a } => write!(out, "fto_int_mod {a}"),
            Inst::Call { h, n, args } => {
                write!(out, "call h{}(", h.0)?;
                for (i, a) in args.iter().take(usize::from(n)).enumerate() {
                    write!(out, "{}{a}", if i > 0 { ", " } else { "" })?;
                }
                out.write_str(")")
            }
            Inst::Branch { c, w, a, b, target } => {
                write!(out, "branch.{}{} {a}, {b}, {target:#x}", lower(c), width(w))
            }
            Inst::Jump { target, kind } => write!(out, "jump{} {target:#x}", jump(kind)),
            Inst::JumpReg { target, kind } => write!(out, "jump{} {target}", jump(kind)),
            Inst::Resync { next } => write!(out, "resync {next:#x}"),
            Inst::Raise { cause, value } => write!(out, "raise {cause}, {value}"),
        }
    }
}

fn lower(name: impl fmt::Debug) -> String {
    format!("{name:?}").to_ascii_lowercase()
}

struct Disp(i32);

impl fmt::Display for Disp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            d if d < 0 => write!(f, "-{:#x}", d.unsigned_abs()),
            d => write!(f, "+{d:#x}"),
        }
    }
}

fn width(w: Width) -> &'static str {
    match w {
        Width::W8 => ".w8",
        Width::W16 => ".w16",
        Width::W32 => ".w32",
        Width::W64 => ".w64",
    }
}

fn format_name(f: Format) -> &'static str {
    match f {
        Format::F16 => ".f16",
        Format::F32 => ".f32",
        Format::F64 => ".f64",
    }
}

fn round(rm: Round) -> String {
    match rm {
        Round::Fixed(r) => format!(".{}", lower(r)),
        Round::Dynamic => ".dyn".to_owned(),
    }
}

fn int(i: IntFormat) -> String {
    format!(".{}{}", if i.signed { 'i' } else { 'u' }, i.width.bits())
}

fn jump(kind: JumpKind) -> &'static str {
    match kind {
        JumpKind::Plain => "",
        JumpKind::Call => ".call",
        JumpKind::Return => ".return",
    }
}

fn mem(m: MemOp) -> String {
    let mut s = width(m.size).to_owned();
    for (on, name) in [
        (m.sign, "s"),
        (m.aligned, ".aligned"),
        (m.acquire, ".acquire"),
        (m.release, ".release"),
    ] {
        if on {
            s.push_str(name);
        }
    }
    s
}
