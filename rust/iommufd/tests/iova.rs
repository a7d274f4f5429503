// SPDX-License-Identifier: GPL-2.0

//! Checks that no sequence of operations makes two claims overlap.

use super::*;
use proptest::prelude::*;

const END: u64 = 64;

fn area(first: u64, last: u64) -> Box<Node<()>> {
    Box::new(Node::new(first, last, ()))
}

/// The claim to a range in which there is no area.
fn claim_to(areas: &mut Areas<()>, first: u64, last: u64) -> IovaClaim {
    areas
        .insert(area(first, last))
        .ok()
        .expect("the range is free")
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Insert(u64, u64),
    Remove(usize),
    SplitClaim(usize, u64),
    SplitArea(u64, u64),
    Lose(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..END, 0..8u64).prop_map(|(first, more)| Step::Insert(first, first + more)),
        any::<usize>().prop_map(Step::Remove),
        (any::<usize>(), 0..END).prop_map(|(claim, at)| Step::SplitClaim(claim, at)),
        (0..END, 0..END).prop_map(|(first, last)| Step::SplitArea(first, last)),
        any::<usize>().prop_map(Step::Lose),
    ]
}

fn overlap(claims: &[IovaClaim]) -> bool {
    claims.iter().enumerate().any(|(index, claim)| {
        claims[..index]
            .iter()
            .any(|other| claim.first() <= other.last() && other.first() <= claim.last())
    })
}

/// Executes a step. If a claim is split or lost without its area, the area can never be removed.
fn run(areas: &mut Areas<()>, claims: &mut Vec<IovaClaim>, step: Step) {
    let pick = |index: usize, claims: &[IovaClaim]| index.checked_rem(claims.len());

    match step {
        Step::Insert(first, last) => claims.extend(areas.insert(area(first, last)).ok()),
        Step::Remove(index) => {
            if let Some(at) = pick(index, claims) {
                let _ = areas.remove(claims.swap_remove(at));
            }
        }
        Step::SplitClaim(index, at) => {
            if let Some(upper) = pick(index, claims).and_then(|i| claims[i].split_off(at)) {
                claims.push(upper);
            }
        }
        Step::SplitArea(first, last) => {
            let split = areas.split(first, last, Box::new_uninit(), |()| Ok::<_, ()>(()));

            assert!(split.is_ok());
        }
        Step::Lose(index) => {
            if let Some(at) = pick(index, claims) {
                claims.swap_remove(at);
            }
        }
    }
}

proptest! {
    #[test]
    fn claims_do_not_overlap(steps in proptest::collection::vec(step(), 0..200)) {
        let mut areas = Areas::new();
        let mut claims = Vec::new();

        for step in steps {
            run(&mut areas, &mut claims, step);
            prop_assert!(!overlap(&claims));
            for claim in &claims {
                prop_assert!(areas.first_in(claim.first(), claim.first()).is_some());
                prop_assert!(areas.first_in(claim.last(), claim.last()).is_some());
            }
        }
    }
}

#[test]
fn a_range_is_free_once_its_claim_is_back() {
    let mut areas = Areas::new();
    let claim = claim_to(&mut areas, 0, 9);

    assert!(areas.insert(area(9, 9)).is_err());
    assert!(areas.remove(claim).is_some());
    assert!(areas.insert(area(9, 9)).is_ok());
}

#[test]
fn a_claim_to_another_address_space_removes_no_area() {
    let mut areas = Areas::new();
    let _claim = areas.insert(area(0, 9));
    let foreign = claim_to(&mut Areas::new(), 0, 9);

    assert!(areas.remove(foreign).is_none());
    assert!(areas.first_in(0, 9).is_some());
}

#[test]
fn both_parts_of_an_area_go_with_both_parts_of_its_claim() {
    let mut areas = Areas::new();
    let mut lower = claim_to(&mut areas, 0, 9);
    let upper = lower.split_off(4).unwrap();

    let split = areas.split(0, 3, Box::new_uninit(), |()| Ok::<_, ()>(()));

    assert_eq!(split, Ok(true));
    assert!(areas.remove(lower).is_some());
    assert!(areas.insert(area(0, 3)).is_ok());
    assert!(areas.remove(upper).is_some());
    assert!(areas.insert(area(4, 9)).is_ok());
}
