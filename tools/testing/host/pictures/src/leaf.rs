// SPDX-License-Identifier: GPL-2.0

//! What each bit of a leaf depends on, found from all leaves that a format can have.

use iommu_pagetable::{Format, MemoryKind, Permissions};

/// The name of a choice of options, and the options; the first of a list is the default.
pub type Choice<O> = (&'static str, O);

/// A property of a leaf; a combination of them is a number with a bit for each.
#[derive(Clone, Copy)]
struct Aspect {
    letter: char,
    /// The texts for a leaf with this property, and for one without it.
    texts: [&'static str; 2],
}

/// The properties, in the order of the bits that [`asked`] takes.
const ASPECTS: [Aspect; 5] = [
    Aspect {
        letter: 'r',
        texts: ["it may be read", "it may not be read"],
    },
    Aspect {
        letter: 'w',
        texts: ["it may be written", "it may not be written"],
    },
    Aspect {
        letter: 'x',
        texts: [
            "instructions may be fetched",
            "no instructions may be fetched",
        ],
    },
    Aspect {
        letter: 'p',
        texts: ["for privileged requests only", "for all requests"],
    },
    Aspect {
        letter: 'm',
        texts: ["MMIO", "normal memory"],
    },
];

const READ: u32 = 1 << 0;
const WRITE: u32 = 1 << 1;
const DIRTY_LETTER: char = 'd';

/// Returns all combinations of properties.
fn all() -> impl Iterator<Item = u32> {
    0..1 << ASPECTS.len()
}

/// Returns the attributes of a leaf with the properties in `number`.
fn asked<F: Format>(options: F::Options, number: u32) -> Option<u64> {
    let bit = |at: u32| number & (1 << at) != 0;
    let permissions = Permissions {
        read: bit(0),
        write: bit(1),
        execute: bit(2),
        privileged: bit(3),
    };
    let kind = if bit(4) {
        MemoryKind::Mmio
    } else {
        MemoryKind::Normal
    };

    F::attributes(options, permissions, kind)
}

/// The bits of words that something changes.
#[derive(Clone, Copy)]
struct Changes {
    /// The bits that it sets in at least one word.
    set: u64,
    /// The bits that it clears in at least one word.
    clear: u64,
}

impl Changes {
    const NONE: Self = Self { set: 0, clear: 0 };

    fn note(&mut self, with: u64, without: u64) {
        self.set |= with & !without;
        self.clear |= without & !with;
    }
}

/// Returns the bits that change with a property alone.
fn changes<F: Format>(options: F::Options, aspect: usize) -> Changes {
    let mut changes = Changes::NONE;

    for without in all().filter(|number| number & (1 << aspect) == 0) {
        let with = without | 1 << aspect;

        if let (Some(with), Some(without)) =
            (asked::<F>(options, with), asked::<F>(options, without))
        {
            changes.note(with, without);
        }
    }
    changes
}

/// Returns the bits that change when the device writes through a clean leaf.
fn changes_by_write<F: Format>(options: F::Options) -> Changes {
    let mut changes = Changes::NONE;

    for attributes in all()
        .filter(|number| number & WRITE != 0)
        .filter_map(|number| asked::<F>(options, number))
    {
        let clean = F::cleaned(F::leaf(0, 0, attributes));
        let dirty = F::dirtied(clean);

        if F::is_dirty(dirty) {
            changes.note(dirty, clean);
        }
    }
    changes
}

/// The leaves with one choice of options.
struct Findings {
    name: &'static str,
    /// The combinations of properties, and their attributes.
    words: Vec<(u32, u64)>,
    aspects: [Changes; ASPECTS.len()],
    write: Changes,
}

impl Findings {
    fn new<F: Format>((name, options): Choice<F::Options>) -> Self {
        Self {
            name,
            words: all()
                .filter_map(|number| Some((number, asked::<F>(options, number)?)))
                .collect(),
            aspects: core::array::from_fn(|aspect| changes::<F>(options, aspect)),
            write: changes_by_write::<F>(options),
        }
    }

    /// Returns when a bit is set, in a line for each condition, and adds the letters that it could
    /// have.
    fn say_when(&self, bit: u64, letters: &mut Vec<char>) -> String {
        let mut texts = Vec::new();
        // The property, and whether the bit is set with it or without it.
        let mut conditions = Vec::new();

        for (at, (aspect, changes)) in ASPECTS.iter().zip(&self.aspects).enumerate() {
            let [with, without] = aspect.texts;

            if (changes.set | changes.clear) & bit != 0 {
                letters.push(aspect.letter);
            }
            for (bits, text, wanted) in [(changes.set, with, true), (changes.clear, without, false)]
            {
                if bits & bit != 0 {
                    texts.push(text);
                    conditions.push((at, wanted));
                }
            }
        }
        let holds = |number: u32, &(at, wanted): &(usize, bool)| (number & 1 << at != 0) == wanted;
        let is = |rule: &dyn Fn(u32) -> bool| {
            self.words
                .iter()
                .all(|&(number, word)| (word & bit != 0) == rule(number))
        };

        if texts.is_empty() {
            return if is(&|_| true) { "set" } else { "clear" }.into();
        }
        let joint = if is(&|number| conditions.iter().any(|it| holds(number, it))) {
            ",\nor "
        } else if is(&|number| conditions.iter().all(|it| holds(number, it))) {
            ",\nand "
        } else {
            ";\nset, not always: "
        };

        format!("set: {}", texts.join(joint))
    }

    /// Returns the meaning of a bit, and adds the letters that it could have.
    fn say(&self, bit: u64, letters: &mut Vec<char>) -> String {
        let mut text = self.say_when(bit, letters);

        for (bits, what) in [(self.write.set, "sets"), (self.write.clear, "clears")] {
            if bits & bit != 0 {
                letters.push(DIRTY_LETTER);
                text += &format!("; a write {what} it");
            }
        }
        text
    }
}

/// One or several bits with the same meaning.
pub struct Field {
    /// The letter for it in pictures.
    pub letter: char,
    pub bits: u64,
    pub meaning: String,
    /// Its meaning depends on the options.
    optional: bool,
    /// The letters that it could have, the best first.
    letters: Vec<char>,
}

/// Returns the fields of the attributes of a format, from the lowest bit on.
pub fn fields<F: Format>(choices: &[Choice<F::Options>]) -> Vec<Field> {
    let findings: Vec<_> = choices.iter().copied().map(Findings::new::<F>).collect();
    let mut fields: Vec<Field> = Vec::new();

    for bit in (0..64).map(|at| 1u64 << at) {
        let field = field(&findings, bit);

        match fields
            .iter_mut()
            .find(|other| other.meaning == field.meaning)
        {
            _ if field.meaning == "clear" => {}
            Some(other) => other.bits |= bit,
            None => fields.push(field),
        }
    }
    give_letters(&mut fields);
    fields
}

/// Returns the field of one bit, with its meaning for each choice.
fn field(findings: &[Findings], bit: u64) -> Field {
    let mut letters = Vec::new();
    let said: Vec<_> = findings
        .iter()
        .map(|finding| (finding.name, finding.say(bit, &mut letters)))
        .collect();
    let mut field = Field {
        letter: '?',
        bits: bit,
        meaning: String::new(),
        optional: false,
        letters,
    };

    if let [(_, default), others @ ..] = said.as_slice() {
        field.meaning.clone_from(default);
        for (name, other) in others.iter().filter(|(_, other)| other != default) {
            field.meaning += &format!("\nwith {name}: {other}");
            field.letters.extend(name.chars().next());
            field.optional = true;
        }
    }
    field
}

/// Gives each field a letter of its own, first to those with the same meaning for all options.
fn give_letters(fields: &mut [Field]) {
    let mut taken = Vec::new();

    for optional in [false, true] {
        for field in fields.iter_mut().filter(|field| field.optional == optional) {
            let spare = field.letters.iter().map(char::to_ascii_uppercase);
            let letter = if field.meaning == "set" {
                '1'
            } else {
                let mut wanted = field.letters.iter().copied().chain(spare);

                wanted.find(|letter| !taken.contains(letter)).unwrap_or('?')
            };

            taken.push(letter);
            field.letter = letter;
        }
    }
}

/// Returns what a format cannot express, and what it refuses.
pub fn refusals<F: Format>(choices: &[Choice<F::Options>]) -> Vec<String> {
    let mut texts = Vec::new();

    for &(name, options) in choices {
        let with = if name.is_empty() {
            String::new()
        } else {
            format!("With ``{name}``, ")
        };

        if !name.is_empty() && asked::<F>(options, READ).is_none() {
            texts.push(format!("{with}pages that may only be read are refused."));
        }
        if name.is_empty() {
            let written =
                asked::<F>(options, WRITE).map(|word| F::permissions(F::leaf(0, 0, word)));

            if written.is_some_and(|permissions| permissions.read) {
                texts.push("A page that may be written may be read.".into());
            }
        }
    }
    texts.extend(ASPECTS.iter().enumerate().filter_map(|(at, aspect)| {
        let used = choices.iter().any(|&(_, options)| {
            let Changes { set, clear } = changes::<F>(options, at);

            set | clear != 0
        });

        (!used && at != 0).then(|| format!("No bit expresses \"{}\".", aspect.texts[0]))
    }));
    texts
}
