// SPDX-License-Identifier: GPL-2.0

//! Checks the set of windows against a plain list.

use super::*;
use crate::base::set_allocations_left;
use proptest::prelude::*;

const PAGES: usize = 40;

/// The number of a window, and its pages.
#[derive(Clone, PartialEq, Debug)]
struct Window(usize, Range<usize>);

impl Covers for Window {
    fn pages(&self) -> Range<usize> {
        self.1.clone()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(usize, usize),
    Take(usize),
    /// Splits a window in front of one of its pages.
    Split(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..PAGES / 2, 1..PAGES / 2).prop_map(|(first, count)| Step::Put(first, count)),
        3 => any::<usize>().prop_map(Step::Take),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(which, at)| Step::Split(which, at)),
    ];

    prop::collection::vec(step, 0..100)
}

fn put(windows: &mut Windows<Window>, window: Window) -> WindowId {
    let room = windows.room().expect("memory");

    // `put` must not allocate.
    set_allocations_left(0);
    let id = windows.put(room, window);
    set_allocations_left(usize::MAX);
    id
}

fn check(windows: &mut Windows<Window>, model: &[(WindowId, Window)]) {
    for (id, window) in model {
        assert_eq!(windows.get(*id), Some(window));
        assert_eq!(windows.get_mut(*id).as_deref(), Some(window));
    }
    for page in 0..PAGES {
        let over = windows.over(page);
        let expected = model.iter().any(|(_, window)| window.1.contains(&page));

        assert_eq!(over.is_some(), expected);
        assert!(over.is_none_or(|over| over.1.contains(&page)));
        assert!(over.is_none_or(|over| model.iter().any(|(_, window)| window == over)));
    }
    let mut all = vec![];
    windows.for_each(|window| all.push(window.0));
    all.sort_unstable();
    let mut expected: Vec<_> = model.iter().map(|(_, window)| window.0).collect();
    expected.sort_unstable();
    assert_eq!(all, expected);
}

proptest! {
    #[test]
    fn windows_behave_like_a_list(steps in steps()) {
        let mut windows = Windows::new();
        let mut model: Vec<(WindowId, Window)> = vec![];

        for (number, step) in steps.into_iter().enumerate() {
            let count = model.len().max(1);

            match step {
                Step::Put(first, count) => {
                    let window = Window(number, first..first + count);
                    model.push((put(&mut windows, window.clone()), window));
                }
                Step::Take(which) if !model.is_empty() => {
                    let (id, window) = model.swap_remove(which % count);

                    set_allocations_left(0);
                    prop_assert_eq!(windows.take(id), Some(window));
                    set_allocations_left(usize::MAX);
                }
                Step::Split(which, at) if !model.is_empty() => {
                    let (id, lower) = &mut model[which % count];
                    let pages = lower.1.clone();

                    if pages.len() > 1 {
                        let at = pages.start + 1 + at % (pages.len() - 1);
                        let upper = Window(number, at..pages.end);

                        windows.shorten(*id, |window| window.1.end = at);
                        lower.1.end = at;
                        model.push((put(&mut windows, upper.clone()), upper));
                    }
                }
                _ => {}
            }
            check(&mut windows, &model);
        }
    }
}

#[test]
fn only_the_first_needs_no_memory() {
    let mut windows = Windows::new();

    set_allocations_left(0);
    let room = windows.room().expect("no memory is needed");
    let first = windows.put(room, Window(0, 0..1));
    assert!(windows.room().is_err());
    set_allocations_left(usize::MAX);

    let second = put(&mut windows, Window(1, 0..1));
    set_allocations_left(0);
    assert_eq!(windows.take(first), Some(Window(0, 0..1)));
    // The identifier of the other window stays valid.
    assert_eq!(windows.get(second), Some(&Window(1, 0..1)));
    assert!(windows.room().is_ok());
    set_allocations_left(usize::MAX);
}
