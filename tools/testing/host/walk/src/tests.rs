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
