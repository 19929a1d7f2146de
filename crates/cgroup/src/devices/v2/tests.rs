//! The program, run by a small interpreter, answers as the policy does for every question of a grid.

use super::*;
use crate::devices::Access;
use onggi_oci::runtime::{DeviceKind, DeviceRule};

/// Runs a program on a context; knows the instructions the compiler uses and fails on any other.
fn run(program: &[Insn], context: [u32; 3]) -> bool {
    const CONTEXT_AT: u64 = 0x1000;
    let mut r = [0_u64; 11];
    r[1] = CONTEXT_AT;
    let mut at = 0;
    loop {
        let i = program[at];
        let (d, s) = (usize::from(i.registers & 15), usize::from(i.registers >> 4));
        let jump = match i.code {
            LOAD_WORD => {
                let word = (r[s] - CONTEXT_AT + i.offset as u64) / 4;
                r[d] = u64::from(context[word as usize]);
                false
            }
            MOVE => {
                r[d] = u64::from(i.value as u32);
                false
            }
            MOVE_REGISTER => {
                r[d] = r[s] & 0xffff_ffff;
                false
            }
            AND => {
                r[d] = u64::from(r[d] as u32 & i.value as u32);
                false
            }
            SHIFT_RIGHT => {
                r[d] = u64::from((r[d] as u32) >> i.value);
                false
            }
            JUMP_UNLESS_EQUAL => r[d] != i64::from(i.value) as u64,
            JUMP_IF_EQUAL => r[d] == i64::from(i.value) as u64,
            JUMP_UNLESS_SAME => r[d] != r[s],
            EXIT => return r[0] == 1,
            other => panic!("instruction {other:#x}"),
        };
        at += 1 + if jump { i.offset as usize } else { 0 };
    }
}

#[test]
fn program_and_policy_agree() {
    let rule = |allow, kind, major, minor, access: &str| DeviceRule {
        allow,
        kind,
        major,
        minor,
        access: Some(access.into()),
    };
    use DeviceKind::{Block, Character};
    let exceptions = [
        rule(true, Some(Character), Some(1), Some(3), "rw"),
        rule(true, Some(Character), Some(1), None, "m"),
        rule(true, Some(Block), None, Some(5), "r"),
        rule(true, Some(Block), Some(8), Some(0), "rwm"),
        rule(true, Some(Character), Some(3), Some(1), "w"),
    ];
    for default in [false, true] {
        let mut rules = vec![rule(default, None, None, None, "rwm")];
        rules.extend(exceptions.iter().cloned().map(|r| DeviceRule {
            allow: !default,
            ..r
        }));
        let policy = Policy::from_rules(&rules).expect("is fine");
        let program = compile(&policy);
        for kind in [Block, Character] {
            for (major, minor) in [
                (1, 3),
                (1, 5),
                (1, 1),
                (8, 0),
                (8, 5),
                (3, 1),
                (2, 2),
                (u32::MAX, 5),
            ] {
                for bits in 0..8_u8 {
                    let word = u32::from(bits) << 16 | if kind == Block { 1 } else { 2 };
                    let wanted = policy.allows(kind, major, minor, Access(bits));
                    // Asking for nothing is not a question the kernel puts.
                    if bits != 0 {
                        assert_eq!(
                            run(&program, [word, major, minor]),
                            wanted,
                            "{kind:?} {major}:{minor} {bits:03b}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn the_layout_of_a_block_has_no_gaps() {
    let policy = Policy::from_rules(&[DeviceRule {
        allow: false,
        ..DeviceRule::default()
    }])
    .expect("is fine");
    let program = compile(&policy);
    assert_eq!(program.len(), 8, "six to unpack, two to answer");
    assert_eq!(program[7], insn(EXIT, 0, 0, 0, 0));
}
