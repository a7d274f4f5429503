// SPDX-License-Identifier: GPL-2.0

//! `IOMMU_IOAS_CHANGE_PROCESS`: charges mapped files to another process, such as one that takes
//! over the state of a VMM that executes itself anew.

use super::{area::Area, Ioas, Map};
use crate::{context::Context, interval::Node};
use iommufd_core::{PagesKind, UserRef};
use kernel::prelude::*;
use kernel_ext::{
    mm::{Account, Charge, ChargeMode},
    sync::WriteGuard,
};

/// Charges what is mapped in all address spaces of the context to the calling process.
///
/// All address spaces are locked at the same time, because they may share pages, and no page may be
/// mapped or unmapped between counting and charging. No address space can be published meanwhile,
/// into which pages could be copied.
///
/// # Errors
///
/// `EINVAL` if memory that is not a file is mapped, which belongs to its process. `EBUSY` while an
/// area is in transit. `ENOMEM` if the limit of the caller does not allow it. No charge has moved
/// then.
pub(crate) fn change_process(context: &Context) -> Result {
    let outer = context.all_address_spaces.write();
    let spaces = address_spaces(context)?;
    let mut maps = KVVec::with_capacity(spaces.len(), GFP_KERNEL)?;

    for space in &spaces {
        maps.push_within_capacity(space.map.write_nested(&outer))?;
    }
    for area in areas(&maps) {
        if area.value.in_transit {
            return Err(EBUSY);
        }
        if area.value.slice.pages.kind() != PagesKind::File {
            return Err(EINVAL);
        }
    }
    let reports = &context.limit_reports;
    let accounts = [
        Account::current_in_mode(ChargeMode::Unlimited, reports)?,
        Account::current_in_mode(ChargeMode::User, reports)?,
        Account::current_in_mode(ChargeMode::Process, reports)?,
    ];
    let counts = count(&maps, &accounts);
    let paid = Pots::pay(accounts, &counts);

    settle(&maps, paid)
}

/// Returns all address spaces of the context.
fn address_spaces(context: &Context) -> Result<KVVec<UserRef<Ioas>>> {
    let mut spaces = KVVec::new();
    let mut next = 0;

    while let Some((space, behind)) = context.next_user(next) {
        spaces.push(space, GFP_KERNEL)?;
        next = behind;
    }
    Ok(spaces)
}

fn areas<'a>(maps: &'a [WriteGuard<'_, Map>]) -> impl Iterator<Item = &'a Node<Area>> {
    maps.iter().flat_map(|map| map.areas())
}

/// Returns the index of a mode in an array.
fn index(mode: ChargeMode) -> usize {
    match mode {
        ChargeMode::Unlimited => 0,
        ChargeMode::User => 1,
        ChargeMode::Process => 2,
    }
}

const MODES: usize = 3;

/// Counts the pages that are to be charged to `accounts`, by mode. Marks the charges, so that pages
/// that areas share are counted once.
fn count(maps: &[WriteGuard<'_, Map>], accounts: &[Account; MODES]) -> [usize; MODES] {
    let mut counts = [0; MODES];

    for area in areas(maps) {
        area.value.slice.pages.with_charge(|charge, counted| {
            let mode = index(charge.account().mode());
            let (Some(account), Some(count)) = (accounts.get(mode), counts.get_mut(mode)) else {
                return;
            };

            if !*counted && !charge.account().is_same_as(account) {
                *counted = true;
                *count += charge.npages();
            }
        });
    }
    counts
}

/// Charges that were made in advance, by mode.
struct Pots([Charge; MODES]);

impl Pots {
    fn pay(accounts: [Account; MODES], counts: &[usize; MODES]) -> Result<Self> {
        let mut pots = Self(accounts.map(Charge::new));

        for (pot, &count) in pots.0.iter_mut().zip(counts) {
            if count != 0 {
                pot.add(count)?;
            }
        }
        Ok(pots)
    }
}

/// Moves the marked charges to `paid`, unless it is an error, and removes the marks.
fn settle(maps: &[WriteGuard<'_, Map>], mut paid: Result<Pots>) -> Result {
    for area in areas(maps) {
        area.value.slice.pages.with_charge(|charge, counted| {
            let Ok(Pots(pots)) = &mut paid else {
                *counted = false;
                return;
            };
            if core::mem::take(counted) {
                if let Some(pot) = pots.get_mut(index(charge.account().mode())) {
                    charge.move_to(pot);
                }
            }
        });
    }
    paid.map(|_| ())
}
