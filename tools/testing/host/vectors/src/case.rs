// SPDX-License-Identifier: GPL-2.0

//! A case of the document: tables, and questions with the answers of the software walker.

use crate::image::Image;
use iommu_walk::{Access, Fault, Request, Translation};
use serde_json::{json, Map, Value};

/// The access of the device, which can only write.
pub const WRITE: Access = Access {
    request: Request::Write,
    privileged: false,
};

/// A case without the memory: the fields of its mode.
pub struct Shape {
    pub name: String,
    pub mode: &'static str,
    pub fields: Vec<(&'static str, Value)>,
}

/// Returns a number in the hexadecimal form of the document.
pub fn hex(number: u64) -> Value {
    json!(format!("{number:#x}"))
}

impl Shape {
    /// Returns the case that asks about `probes` in a `variant` of the tables.
    ///
    /// `walk` is the software walker; `fault` converts its faults to register values.
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
                // Each walk starts with the tables as they were built.
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
