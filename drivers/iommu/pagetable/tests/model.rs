// SPDX-License-Identifier: GPL-2.0

//! A model of a page table, and a suite that compares every format with it.
//!
//! | file | contents |
//! |---|---|
//! | `formats.rs` | the formats that are tested, their options and permissions |
//! | `subject.rs` | the library behind a trait object |
//! | `pages.rs` | the model |
//! | `steps.rs` | the conversion of bytes to steps |
//! | `session.rs` | the steps, applied to the library and to the model |
//! | `inspect.rs` | the comparison of the tables in memory, entry by entry |
//! | `hardware.rs` | the walks of hardware through the tables |
//!
//! Both the property tests and the fuzzer use it.

#![forbid(unsafe_code)]

pub mod formats;
mod hardware;
mod inspect;
mod pages;
mod session;
mod steps;
mod subject;

pub use session::Care;
pub use steps::RECORD;

use formats::Tested;
use iommu_pagetable::Limits;
use pages::Pages;
use session::{Meaning, Session};
use subject::{Real, Subject};

/// The choices before the first step, as bytes.
pub type Setup = [u8; 3];

/// Returns the limits of the hardware. In most cases there are none; otherwise large pages or high
/// addresses are missing.
fn limits<F: Tested>(setup: Setup) -> Limits {
    let [_, sizes, output] = setup;
    let without = match sizes % 8 {
        0 => 1 << F::span_bits(1),
        1 => 1 << F::span_bits(2),
        2 => u64::MAX << (F::GRANULE_BITS + 1),
        3 if F::group_bits(0) > 0 => 1 << (F::GRANULE_BITS + F::group_bits(0)),
        _ => 0,
    };

    Limits {
        output_bits: if output % 4 == 0 {
            36 + u32::from(output >> 4)
        } else {
            64
        },
        page_sizes: !without,
    }
}

/// Runs the steps of `records` on a page table of the format `F` and on its model.
///
/// # Panics
///
/// If they do not agree.
pub fn check<F: Tested>(setup: Setup, records: &[[u8; RECORD]], care: Care) {
    let limits = limits::<F>(setup);
    let options = setup[0];
    let coherent = options & 0x80 == 0;
    let meaning = Meaning {
        grants: F::grants,
        options,
        starts_dirty: F::starts_dirty(options),
        tracks: F::tracks(options),
        walk: F::walk,
        is_memory: F::is_memory,
    };
    let run = |real: &dyn Subject, shape| {
        Session::new(real, Pages::new(shape), meaning, care).run(records.iter());
    };

    if coherent {
        let (real, shape) =
            Real::<F, true>::new(F::options(options), limits, F::groups(options)).expect("new");
        run(&real, shape);
    } else {
        let (real, shape) =
            Real::<F, false>::new(F::options(options), limits, F::groups(options)).expect("new");
        run(&real, shape);
    }
}
