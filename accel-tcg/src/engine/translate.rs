//! From guest bytes to blocks: decoding for the interpreter, compiling, and letting the world know that a page holds code.

use std::sync::Arc;

use super::blocks::{Block, BlockId, Code, Key, hash_bytes};
use super::core::Core;
use super::hooks::BLOCK_HOOK;
use super::shared::{Mail, lines_of};
use crate::guest::{Decoded, Guest, InsnFlow};
use crate::jit::CompileError;
use crate::mmu::bank::FetchEntry;
use crate::sem::Ops;

/// Longest block the interpreter decodes at once, in instructions.
const T0_BLOCK: usize = 32;
/// Longest block the compiler takes, in instructions.
const T1_BLOCK: usize = 64;
/// Pages newly with code after which an instruction fence is made in any case.
const FRESH_PAGES: usize = 1024;

impl<G: Guest> Core<G> {
    /// The compiled code of a block, compiling it if it is hot enough.
    pub(super) fn compiled(&mut self, id: BlockId, page: &FetchEntry) -> Option<u32> {
        let threshold = self.tuning.compile_after?;
        let block = self.blocks.get_mut(id)?;
        if let Some(code) = &block.code {
            return Some(code.compiled.entry);
        }
        block.runs += 1;
        if block.runs < threshold || block.uncompilable {
            return None;
        }
        self.compile(id, page)
    }

    pub(super) fn compile(&mut self, id: BlockId, page: &FetchEntry) -> Option<u32> {
        let key = self.blocks.get(id)?.key;
        let mut bytes = [0u8; 4096];
        let have = self.mmu.fetch_from(
            page,
            key.va,
            &mut bytes[..(T1_BLOCK * usize::from(G::MAX_INSN)).min(4096)],
        );
        let listing = log::log_enabled!(target: "in_asm", log::Level::Debug);
        if listing {
            log::debug!(target: "in_asm", "hart {}: a block at {:#x}", self.index, key.va);
        }
        self.builder.begin(key.va);
        let mut at = 0usize;
        let mut n = 0;
        while n < T1_BLOCK && !self.builder.ended() && !self.builder.full() {
            let Decoded::Insn(insn, len) = self.guest.decode(key.mode, &bytes[at..have]) else {
                break;
            };
            let pc = key.va.wrapping_add(at as u64);
            if listing {
                let text = G::disassemble(&insn, pc);
                log::debug!(target: "in_asm", "{pc:#018x}: {text}");
            }
            self.builder.start_insn(at as u16, len);
            if n == 0 && self.hooks.blocks() {
                let at = self.builder.imm(key.va);
                let Ok(_) = self.builder.call(BLOCK_HOOK, &[at]);
            }
            let Ok(()) = G::exec(&mut self.builder, &insn, pc, key.mode);
            at += usize::from(len);
            n += 1;
            if self.builder.branched_back() {
                break;
            }
        }
        if n == 0 {
            self.blocks.get_mut(id)?.uncompilable = true;
            return None;
        }
        self.builder.finish(key.va.wrapping_add(at as u64));
        let mut retried = false;
        let compiled = loop {
            let ir = self.builder.block();
            match self.jit.as_mut()?.compile(ir, key.mode) {
                Ok(c) => break c,
                Err(CompileError::Full) if !retried => {
                    retried = true;
                    let range = self.jit.as_mut()?.evict();
                    for dead in self.blocks.compiled_in(range) {
                        self.drop_code(dead);
                    }
                    self.mmu.banks.iter_mut().for_each(|b| b.drop_jumps());
                }
                Err(_) => {
                    self.blocks.get_mut(id)?.uncompilable = true;
                    return None;
                }
            }
        };
        let entry = compiled.entry;
        self.stats.blocks += 1;
        self.stats.translated += n as u64;
        let insns = &self.builder.block().insns;
        let code = Code {
            out: vec![None; compiled.links.len()],
            offsets: insns.iter().map(|i| i.offset).collect(),
            last_len: insns.last().map_or(0, |i| i.len),
            compiled,
        };
        let hash = hash_bytes(&bytes[..at]);
        let block = self.blocks.get_mut(id)?;
        block.len = at as u32;
        block.hash = hash;
        self.blocks.set_code(id, code);
        self.note_code(page, key.va, at as u64, hash);
        Some(entry)
    }

    /// Lets the world know that there is code on these bytes.
    pub(super) fn note_code(&mut self, page: &FetchEntry, va: u64, len: u64, hash: u64) {
        let lines = lines_of(va, len);
        let first = self.blocks.lines(page.phys) == 0;
        if self.blocks.add_lines(page.phys, lines) {
            let all = self.blocks.lines(page.phys);
            let view = Arc::clone(self.mmu.view());
            let block = view.ranges().iter().find_map(|r| match &r.kind {
                ambidex_memory::RangeKind::Ram(b) if b.id() == page.phys.block() => Some(b),
                _ => None,
            });
            // Code in ROM cannot be written by anybody but a loader, which resets the machine.
            if let Some(block) = block {
                self.shared.adopt(block);
                self.shared
                    .set_lines(self.index, block, page.phys, page.host, all);
                if first && !self.shared.alone() {
                    self.fresh.push(page.phys);
                    self.events.instruction_fence |= self.fresh.len() >= FRESH_PAGES;
                }
                // Whoever wrote between the reading of these bytes and now had nobody to tell.
                let mut bytes = vec![0; len as usize];
                if self.mmu.fetch_from(page, va, &mut bytes) != bytes.len()
                    || hash_bytes(&bytes) != hash
                {
                    self.peer.post(Mail::Verify(page.phys));
                }
                if first {
                    self.mmu
                        .banks
                        .iter_mut()
                        .for_each(|b| b.protect_host_page(page.host));
                }
            }
        }
    }

    /// Decodes a block for the interpreter; `None` if not even one instruction lies whole in the page.
    pub(super) fn decode_block(&mut self, page: &FetchEntry, key: Key) -> Option<BlockId> {
        let mut bytes = [0u8; 512];
        let want = (T0_BLOCK * usize::from(G::MAX_INSN)).min(bytes.len());
        let have = self.mmu.fetch_from(page, key.va, &mut bytes[..want]);
        self.scratch.clear();
        let mut at = 0usize;
        while self.scratch.len() < T0_BLOCK {
            let Decoded::Insn(insn, len) = self.guest.decode(key.mode, &bytes[at..have]) else {
                break;
            };
            self.scratch.push((insn, len));
            at += usize::from(len);
            if G::flow(&insn) != InsnFlow::Next {
                break;
            }
        }
        if self.scratch.is_empty() {
            return None;
        }
        let hash = hash_bytes(&bytes[..at]);
        let id = self.blocks.insert(Block {
            key,
            insns: self.scratch.as_slice().into(),
            len: at as u32,
            hash,
            runs: 0,
            code: None,
            incoming: Vec::new(),
            uncompilable: false,
        });
        self.note_code(page, key.va, at as u64, hash);
        Some(id)
    }
}
