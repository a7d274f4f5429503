// SPDX-License-Identifier: GPL-2.0

//! The suite of `drivers/iommu/pagetable/tests/model`, for the bytes of a fuzzer.

#[path = "../../../../../drivers/iommu/pagetable/tests"]
mod tests {
    pub(super) mod model;
}

use crate::for_each_format;
use iommu_pagetable::{
    vmsa::{Granule16K, Granule4K, Granule64K, Stage1, Stage2},
    vtd::{FirstStage, SecondStage},
    Mock,
};
use tests::model::{check, Care, Setup, RECORD};

/// The largest number of steps. The combination of their kinds matters more than their number.
const STEPS: usize = 10;

type Check = fn(Setup, &[[u8; RECORD]], Care);

macro_rules! checks {
    ($($name:ident: $format:ty,)*) => { &[$(check::<$format>,)*] };
}

const CHECKS: &[Check] = for_each_format!(checks);

/// Takes the format from the first byte, the choices for the table from the next ones, then steps.
///
/// # Panics
///
/// If the library differs from the model or, with `hardware`, from the walks of hardware.
pub fn run(data: &[u8], hardware: bool) {
    let care = Care {
        each_step: false,
        hardware,
        pages: 24,
    };
    let [format, a, b, c, steps @ ..] = data else {
        return;
    };
    let Some(check) = CHECKS.get(usize::from(*format) % CHECKS.len()) else {
        return;
    };
    let records: Vec<[u8; RECORD]> = steps
        .chunks_exact(RECORD)
        .take(STEPS)
        .filter_map(|record| record.try_into().ok())
        .collect();

    check([*a, *b, *c], &records, care);
}
