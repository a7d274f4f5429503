// SPDX-License-Identifier: GPL-2.0

//! Random operations in every format, compared with the model.

#![forbid(unsafe_code)]

mod model;

use iommu_pagetable::{
    vmsa::{Granule16K, Granule4K, Granule64K, Stage1, Stage2},
    vtd::{FirstStage, SecondStage},
    Mock,
};
use model::{check, Care, RECORD};
use proptest::{prelude::*, test_runner::TestRunner};

/// A sequence of steps, which proptest shrinks to the shortest that fails.
fn records() -> impl Strategy<Value = Vec<[u8; RECORD]>> {
    prop::collection::vec(any::<[u8; RECORD]>(), 1..40)
}

/// The number of cases is smaller than elsewhere, because a case has dozens of steps.
/// PROPTEST_CASES overrides it.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();

    ProptestConfig {
        cases: config.cases.div_ceil(8),
        failure_persistence: None,
        ..config
    }
}

const CARE: Care = Care {
    each_step: true,
    hardware: true,
    pages: 1200,
};

macro_rules! suite {
    ($($name:ident: $format:ty,)*) => {
        $(
            #[test]
            fn $name() {
                let mut runner = TestRunner::new(config());
                let result = runner.run(&(any::<[u8; 3]>(), records()), |(setup, records)| {
                    check::<$format>(setup, &records, CARE);
                    Ok(())
                });

                if let Err(error) = result {
                    panic!("{error}");
                }
            }
        )*
    };
}

for_each_format!(suite);
