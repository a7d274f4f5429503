// SPDX-License-Identifier: GPL-2.0

//! Tests of the walkers with tables written by hand, bit by bit from the specifications, and with
//! hostile tables.

mod hostile;
mod memory;
mod vmsa_nested;
mod vmsa_rights;
mod vmsa_stage1;
mod vmsa_stage2;
mod vtd_first;
mod vtd_nested;
mod vtd_second;

use super::{Access, Request};

const READ: Access = user(Request::Read);
const WRITE: Access = user(Request::Write);
const ATOMIC: Access = user(Request::Atomic);
const EXECUTE: Access = user(Request::Execute);

const fn user(request: Request) -> Access {
    Access {
        request,
        privileged: false,
    }
}

const fn privileged(request: Request) -> Access {
    Access {
        request,
        privileged: true,
    }
}

/// Returns the accesses that `may` allows as text, those without privilege first.
fn allowed(mut may: impl FnMut(Access) -> bool) -> [&'static str; 2] {
    [user, privileged].map(|of: fn(Request) -> Access| {
        assert_eq!(
            may(of(Request::Atomic)),
            may(of(Request::Read)) && may(of(Request::Write))
        );
        match (
            may(of(Request::Read)),
            may(of(Request::Write)),
            may(of(Request::Execute)),
        ) {
            (true, true, true) => "rwx",
            (true, true, false) => "rw-",
            (true, false, true) => "r-x",
            (true, false, false) => "r--",
            (false, true, true) => "-wx",
            (false, true, false) => "-w-",
            (false, false, true) => "--x",
            (false, false, false) => "---",
        }
    })
}
