// SPDX-License-Identifier: GPL-2.0

//! A case of the document: tables, and questions with the answers that our walker gives.

use crate::image::Image;
use iommu_walk::{Access, Fault, Request, Translation};
use serde_json::{json, Map, Value};

/// What the device does: it can only write.
pub const WRITE: Access = Access {
    request: Request::Write,
    privileged: false,
};

/// Everything about a case but the memory: the fields of its mode.
pub struct Shape {
    pub name: String,
    pub mode: &'static str,
    pub fields: Vec<(&'static str, Value)>,
}

/// A hexadecimal number of the document.
pub fn hex(number: u64) -> Value {
    json!(format!("{number:#x}"))
}

impl Shape {
    /// The case in which `variant` of the tables is asked about `probes`.
    ///
    /// `walk` is our walker; `fault` says what its fault looks like in a register.
    pub fn case<C>(
        &self,
        variant: &str,
        image: &Image,
        probes: &[u64],
        walk: impl Fn(&mut Image, u64) -> Result<Translation, Fault<C>>,
        fault: impl Fn(&Fault<C>) -> Value,
    ) -> Value {
        let mut case: Map<String, Value> = self
            .fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let queries: Vec<_> = probes
            .iter()
            .map(|&iova| {
                // Each question is asked of the tables as they were built.
                let expect = match walk(&mut image.clone(), iova) {
                    Ok(translation) => json!({ "phys": hex(translation.output) }),
                    Err(why) => json!({ "fault": fault(&why) }),
                };

                json!({ "iova": hex(iova), "expect": expect })
            })
            .collect();

        case.insert("name".into(), json!(format!("{}{variant}", self.name)));
        case.insert("mode".into(), json!(self.mode));
        case.insert("memory".into(), image.to_json());
        case.insert("queries".into(), json!(queries));
        Value::Object(case)
    }
}
