//! Answers to instructions of classic BPF.
//!
//! Written from the end to the beginning: jumps go forward only and their targets must be known. A conditional jump
//! reaches 255 instructions; what is farther away is reached over a jump that has 32 bits.

use super::rules::{Answer, Case, Choice, Compare, Condition, FOREIGN, Range};
use onggi_sys::seccomp::Instruction;

// Operations (linux/bpf_common.h) and offsets in struct seccomp_data (linux/seccomp.h).
pub(super) const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
pub(super) const RETURN: u16 = 0x06; // BPF_RET | BPF_K
pub(super) const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
pub(super) const IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
pub(super) const IF_GREATER: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
pub(super) const IF_GREATER_OR_EQUAL: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
pub(super) const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// A place in the program, counted from its end; stays true while instructions are put in front.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place(usize);

#[derive(Default)]
struct Assembler {
    /// Last instruction first.
    reversed: Vec<Instruction>,
    /// Where a `return` of a value is, the nearest one.
    returns: Vec<(u32, Place)>,
}

/// The whole program: by architecture, then by number, then by arguments.
pub(super) fn assemble(families: &[(u32, Vec<Range>)]) -> Vec<Instruction> {
    let mut code = Assembler::default();
    let mut next = code.give(FOREIGN);
    // The native family comes first in the program, hence last here.
    for (audit, ranges) in families.iter().rev() {
        let tree = code.tree(ranges);
        let tree = code.load(NUMBER, tree);
        next = code.test(IF_EQUAL, *audit, tree, next);
    }
    code.load(ARCHITECTURE, next);
    code.reversed.reverse();
    code.reversed
}

impl Assembler {
    fn tree(&mut self, ranges: &[Range]) -> Place {
        if let [only] = ranges {
            return self.answer(&only.answer);
        }
        let (low, high) = ranges.split_at(ranges.len() / 2);
        let start = high[0].start;
        let high = self.tree(high);
        let low = self.tree(low);
        self.test(IF_GREATER_OR_EQUAL, start, high, low)
    }

    fn answer(&mut self, answer: &Answer) -> Place {
        match answer {
            Answer::Always(value) => self.give(*value),
            Answer::Depends(choice) => self.choice(choice),
        }
    }

    fn choice(&mut self, choice: &Choice) -> Place {
        let mut next = self.give(choice.otherwise);
        for Case { conditions, value } in choice.cases.iter().rev() {
            let mut holds = self.give(*value);
            for condition in conditions.iter().rev() {
                holds = self.condition(condition, choice.narrow, holds, next);
            }
            next = holds;
        }
        next
    }

    /// Loads the argument, word by word, and goes to `yes` or `no`.
    fn condition(&mut self, c: &Condition, narrow: bool, yes: Place, no: Place) -> Place {
        let (yes, no) = if c.negated { (no, yes) } else { (yes, no) };
        let operation = match c.compare {
            Compare::Equal => IF_EQUAL,
            Compare::Greater => IF_GREATER,
            Compare::GreaterOrEqual => IF_GREATER_OR_EQUAL,
        };
        let half = |value: u64, shift: u32| (value >> shift) as u32;
        let (low, high) = words(c.index);
        let place = self.test(operation, half(c.value, 0), yes, no);
        let place = self.masked(low, half(c.mask, 0), place);
        if narrow {
            return place;
        }
        // The upper words decide unless they are equal.
        let unequal = match c.compare {
            Compare::Equal => no,
            Compare::Greater | Compare::GreaterOrEqual => {
                self.test(IF_GREATER, half(c.value, 32), yes, no)
            }
        };
        let place = self.test(IF_EQUAL, half(c.value, 32), place, unequal);
        self.masked(high, half(c.mask, 32), place)
    }

    fn masked(&mut self, offset: u32, mask: u32, next: Place) -> Place {
        let next = match mask {
            u32::MAX => next,
            mask => self.put(AND, mask, next),
        };
        self.load(offset, next)
    }

    fn load(&mut self, offset: u32, next: Place) -> Place {
        self.put(LOAD, offset, next)
    }

    /// A conditional jump.
    fn test(&mut self, code: u16, k: u32, yes: Place, no: Place) -> Place {
        let (mut yes, mut no) = (yes, no);
        // Making one near moves the other away by one instruction, so both are looked at until both are near.
        loop {
            if self.distance(yes) > 255 {
                yes = self.jump(yes);
            } else if self.distance(no) > 255 {
                no = self.jump(no);
            } else {
                break;
            }
        }
        let (jt, jf) = (self.distance(yes) as u8, self.distance(no) as u8);
        self.emit(Instruction { code, jt, jf, k })
    }

    /// `return value`, a near one if there is one.
    fn give(&mut self, value: u32) -> Place {
        if let Some((_, place)) = self.returns.iter().find(|(v, _)| *v == value)
            && self.distance(*place) < 200
        {
            return *place;
        }
        let place = self.emit(Instruction {
            code: RETURN,
            jt: 0,
            jf: 0,
            k: value,
        });
        self.returns.retain(|(v, _)| *v != value);
        self.returns.push((value, place));
        place
    }

    /// An instruction that goes on to `next`.
    fn put(&mut self, code: u16, k: u32, next: Place) -> Place {
        if self.distance(next) > 0 {
            self.jump(next);
        }
        self.emit(Instruction {
            code,
            jt: 0,
            jf: 0,
            k,
        })
    }

    fn jump(&mut self, to: Place) -> Place {
        let k = self.distance(to) as u32;
        self.emit(Instruction {
            code: JUMP,
            jt: 0,
            jf: 0,
            k,
        })
    }

    /// Instructions that lie between the next one written and `place`.
    fn distance(&self, place: Place) -> usize {
        self.reversed.len() - place.0 - 1
    }

    fn emit(&mut self, instruction: Instruction) -> Place {
        self.reversed.push(instruction);
        Place(self.reversed.len() - 1)
    }
}

/// Offsets of the lower and the upper word of an argument.
fn words(index: u32) -> (u32, u32) {
    let at = ARGUMENTS + 8 * index;
    if cfg!(target_endian = "big") {
        (at + 4, at)
    } else {
        (at, at + 4)
    }
}
