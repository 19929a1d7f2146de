//! The policy as a BPF program of a v2 group.
//!
//! The kernel runs the program at every open and mknod of a device node with `struct bpf_cgroup_dev_ctx`
//! (linux/bpf.h): `access_type` = access << 16 | kind, `major`, `minor`; 1 allows, 0 refuses with EPERM. The access
//! and kind bits there are ours: 1 mknod, 2 read, 4 write; 1 block, 2 character.

use super::{Devices, Policy};
use crate::dir::Dir;
use crate::{Error, Result};
use onggi_sys::bpf::{self, Insn};

// Registers: R1 is the context at entry, R0 the answer; R2..R5 hold what is compared.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

// Instruction classes and operations (linux/bpf_common.h, linux/bpf.h).
const LOAD_WORD: u8 = 0x61; // BPF_LDX | BPF_MEM | BPF_W
const MOVE: u8 = 0xb4; // BPF_ALU | BPF_MOV | BPF_K
const MOVE_REGISTER: u8 = 0xbc; // BPF_ALU | BPF_MOV | BPF_X
const AND: u8 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const SHIFT_RIGHT: u8 = 0x74; // BPF_ALU | BPF_RSH | BPF_K
const JUMP_UNLESS_EQUAL: u8 = 0x55; // BPF_JMP | BPF_JNE | BPF_K
const JUMP_IF_EQUAL: u8 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_UNLESS_SAME: u8 = 0x5d; // BPF_JMP | BPF_JNE | BPF_X
const EXIT: u8 = 0x95;

const KIND_BLOCK: i32 = 1;
const KIND_CHARACTER: i32 = 2;

/// The program that answers as [`Policy::allows`] does.
pub(crate) fn compile(policy: &Policy) -> Vec<Insn> {
    let mut program = vec![
        insn(LOAD_WORD, KIND, CONTEXT, 0, 0),
        insn(MOVE_REGISTER, ACCESS, KIND, 0, 0),
        insn(AND, KIND, 0, 0, 0xffff),
        insn(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        insn(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        insn(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    for (devices, access) in &policy.exceptions {
        exception(&mut program, devices, i32::from(access.0), policy.allow);
    }
    answer(&mut program, policy.allow);
    program
}

/// If the request is about these devices and this access, answer the opposite of the default.
fn exception(program: &mut Vec<Insn>, devices: &Devices, access: i32, default: bool) {
    let mut block = Vec::new();
    let mut skips = Vec::new();
    let mut skip = |block: &mut Vec<Insn>, code, register, source, value| {
        skips.push(block.len());
        block.push(insn(code, register, source, 0, value));
    };
    let kind = if devices.block {
        KIND_BLOCK
    } else {
        KIND_CHARACTER
    };
    skip(&mut block, JUMP_UNLESS_EQUAL, KIND, 0, kind);
    for (register, number) in [(MAJOR, devices.major), (MINOR, devices.minor)] {
        if let Some(number) = number {
            // The comparison is of 64 bits with a sign-extended constant; device numbers have 20 bits at most, and
            // one that does not fit matches nothing, as it should.
            skip(
                &mut block,
                JUMP_UNLESS_EQUAL,
                register,
                0,
                number.cast_signed(),
            );
        }
    }
    if access != 7 {
        block.push(insn(MOVE_REGISTER, CONTEXT, ACCESS, 0, 0));
        block.push(insn(AND, CONTEXT, 0, 0, access));
        if default {
            // Denied as soon as one forbidden thing is asked for.
            skip(&mut block, JUMP_IF_EQUAL, CONTEXT, 0, 0);
        } else {
            // Allowed when nothing beyond is asked for.
            skip(&mut block, JUMP_UNLESS_SAME, CONTEXT, ACCESS, 0);
        }
    }
    answer(&mut block, !default);
    let end = block.len();
    for at in skips {
        // A block has at most ten instructions.
        block[at].offset = (end - at - 1) as i16;
    }
    program.append(&mut block);
}

fn answer(program: &mut Vec<Insn>, allow: bool) {
    program.push(insn(MOVE, ANSWER, 0, 0, i32::from(allow)));
    program.push(insn(EXIT, 0, 0, 0, 0));
}

fn insn(code: u8, destination: u8, source: u8, offset: i16, value: i32) -> Insn {
    Insn {
        code,
        registers: source << 4 | destination,
        offset,
        value,
    }
}

/// Puts the program in the place of whatever programs the group has now; there is no moment without one.
pub(crate) fn apply(dir: &Dir, policy: &Policy) -> Result<()> {
    let failed = |action| {
        move |e: rustix::io::Errno| Error::Program {
            action,
            source: e.into(),
        }
    };
    let before = match bpf::attached_device_programs(dir.fd()) {
        Ok(programs) => programs,
        // Kernels without cgroup BPF: fine as long as nothing is to be forbidden.
        Err(_) if policy.allows_everything() => return Ok(()),
        Err(e) => return Err(failed("list the device programs of the cgroup")(e)),
    };
    if !policy.allows_everything() {
        let program = bpf::load_device_program(&compile(policy))
            .map_err(failed("load the device program"))?;
        bpf::attach_device_program(dir.fd(), &program)
            .map_err(failed("attach the device program"))?;
    }
    for program in before {
        bpf::detach_device_program(dir.fd(), &program)
            .map_err(failed("detach a device program"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
