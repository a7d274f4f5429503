// SPDX-License-Identifier: GPL-2.0

//! Module parameters that may change while the module runs.
//!
//! Parameters declared with `module!` do not appear in sysfs. A C file of the module declares them
//! instead, and a function that reads each.

/// Declares a safe function that reads a flag, implemented in C as `bool $name(void)`.
#[macro_export]
macro_rules! module_flag {
    ($(#[$meta:meta])* $vis:vis fn $rust:ident = $name:ident) => {
        $(#[$meta])*
        $vis fn $rust() -> bool {
            extern "C" {
                fn $name() -> bool;
            }
            // SAFETY: The function takes nothing and reads one variable.
            unsafe { $name() }
        }
    };
}
