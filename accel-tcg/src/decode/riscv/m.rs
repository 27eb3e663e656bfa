//! Multiplication and division (unprivileged manual, "M").
//!
//! One line is one instruction: operation, mnemonic, operand format, encoding.

macro_rules! rows_m {
    ([$($rest:ident)*] $($acc:tt)*) => {
        chain! { [$($rest)*] $($acc)*
            [M] {
                Mul    "mul"    R "0000001 ..... ..... 000 ..... 0110011"
                Mulh   "mulh"   R "0000001 ..... ..... 001 ..... 0110011"
                Mulhsu "mulhsu" R "0000001 ..... ..... 010 ..... 0110011"
                Mulhu  "mulhu"  R "0000001 ..... ..... 011 ..... 0110011"
                Div    "div"    R "0000001 ..... ..... 100 ..... 0110011"
                Divu   "divu"   R "0000001 ..... ..... 101 ..... 0110011"
                Rem    "rem"    R "0000001 ..... ..... 110 ..... 0110011"
                Remu   "remu"   R "0000001 ..... ..... 111 ..... 0110011"
                Mulw   "mulw"   R "0000001 ..... ..... 000 ..... 0111011"
                Divw   "divw"   R "0000001 ..... ..... 100 ..... 0111011"
                Divuw  "divuw"  R "0000001 ..... ..... 101 ..... 0111011"
                Remw   "remw"   R "0000001 ..... ..... 110 ..... 0111011"
                Remuw  "remuw"  R "0000001 ..... ..... 111 ..... 0111011"
            }
        }
    };
}
