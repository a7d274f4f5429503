// SPDX-License-Identifier: GPL-2.0

//! The number of pages that the tables take, including the root.

use crate::{
    subject::{Geometry, Subject, BATCH},
    Report,
};
use generic_pt::meter::table_pages;
use kernel::{prelude::*, sync::rcu};

/// Maps pages, unmaps them one by one, and counts tables at each step.
pub(crate) fn count<S: Subject>(
    report: &Report<'_>,
    geometry: &Geometry,
    new: impl Fn() -> Result<S>,
) -> Result {
    let cases = [
        (["one-page", "one-page-unmapped"], 1, geometry.small),
        (
            ["256-pages", "256-pages-unmapped"],
            BATCH as u64,
            geometry.small,
        ),
        (
            ["256-far-pages", "256-far-pages-unmapped"],
            BATCH as u64,
            geometry.middle,
        ),
    ];

    for ([mapped, unmapped], count, distance) in cases {
        let before = settled();
        let mut subject = new()?;
        let iova = |page| geometry.large + page * distance;

        for page in 0..count {
            subject.map_one(iova(page), (2 * page + 1) * geometry.small, geometry.small)?;
        }
        report.pages(mapped, settled() - before);
        for page in 0..count {
            if subject.unmap(iova(page), geometry.small) != geometry.small {
                return Err(EIO);
            }
        }
        report.pages(unmapped, settled() - before);
        drop(subject);
        if settled() != before {
            pr_err!("{} table pages are left\n", settled() - before);
            return Err(EIO);
        }
    }
    Ok(())
}

/// Returns the number of table pages after all that are waiting for RCU have been freed.
fn settled() -> i64 {
    rcu::rcu_barrier();
    table_pages()
}
