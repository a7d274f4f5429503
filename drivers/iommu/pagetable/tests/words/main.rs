// SPDX-License-Identifier: GPL-2.0

//! What stands in the tables, bit by bit, for what was asked.
//!
//! The words were put together from the specifications: Intel's VT-d (revision 4), Arm's DDI 0487
//! (chapter D8). No constant of the library is used to make them.

#![forbid(unsafe_code)]

mod flags;
mod rows;
mod vmsa;
mod vtd;
