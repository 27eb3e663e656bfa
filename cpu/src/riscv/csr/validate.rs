//! Whether saved CSRs hold values software could have put there.

use super::super::ext::Ext;
use super::super::hart::{Hart, Priv};
use super::super::status::*;
use super::counters::INHIBITABLE;
use crate::StateError;

impl Hart {
    pub(in crate::riscv) fn validate_csrs(
        &self,
        check: &dyn Fn(bool, &'static str, u64) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let within = |name, value: u64, mask: u64| check(value & !mask == 0, name, value);
        let fresh = Hart::new(self.model, self.hartid);
        // Everything outside the writable fields is what reset made it.
        let mask = self.mstatus_mask() | MPP;
        let mpp = Priv::from_bits(self.mstatus >> MPP_SHIFT);
        let fixed = self.mstatus & !mask == fresh.mstatus & !mask;
        check(
            fixed && mpp.is_some_and(|p| self.has_mode(p)),
            "mstatus",
            self.mstatus,
        )?;
        within("medeleg", self.medeleg, self.medeleg_mask())?;
        within("mideleg", self.mideleg, self.mideleg_mask())?;
        within("mie", self.mie, self.mip_lines())?;
        within("mip", self.mip, self.mideleg_mask())?;
        within("mtvec", self.mtvec, !2)?;
        within("stvec", self.stvec, !2)?;
        within("mepc", self.mepc, self.epc_mask())?;
        within("sepc", self.sepc, self.epc_mask())?;
        within("mcounteren", self.mcounteren, self.counteren_mask())?;
        within("scounteren", self.scounteren, self.counteren_mask())?;
        within("mcountinhibit", self.mcountinhibit, INHIBITABLE)?;
        let u = self.model.has(Ext::U);
        let menvcfg = if u {
            self.legal_menvcfg(self.menvcfg)
        } else {
            0
        };
        check(menvcfg == self.menvcfg, "menvcfg", self.menvcfg)?;
        let senvcfg = if u {
            self.legal_senvcfg(self.senvcfg)
        } else {
            0
        };
        check(senvcfg == self.senvcfg, "senvcfg", self.senvcfg)?;
        let satp = if self.has_s() {
            self.legal_satp(self.satp)
        } else {
            Some(0)
        };
        check(satp == Some(self.satp), "satp", self.satp)?;
        for (value, mask) in self.mstateen.into_iter().zip(self.mstateen_mask()) {
            within("mstateen", value, mask)?;
        }
        for value in self.sstateen {
            within("sstateen", value, 0)?;
        }
        Ok(())
    }
}
