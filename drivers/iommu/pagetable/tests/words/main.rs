// SPDX-License-Identifier: GPL-2.0

//! The words in the tables, bit by bit, for all permissions, kinds of memory, options and levels.
//!
//! The expected words are composed from the specifications: Intel's VT-d (revision 4), Arm's DDI
//! 0487 (chapter D8). They use no constant of the library.

#![forbid(unsafe_code)]

mod flags;
mod rows;
mod vmsa;
mod vtd;
