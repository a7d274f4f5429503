// SPDX-License-Identifier: GPL-2.0

//! The rights and the dirty state of stage 1 of the VMSAv8-64.

use super::{
    super::{
        vmsa::{Cause, FlagUpdates, Stage1, TableConfig},
        Rights,
    },
    allowed,
    vmsa_stage1::{mapped, with, AF, AP1, AP2, DBM, IOVA, K4, OPEN, PAGE},
    ATOMIC, EXECUTE, READ, WRITE,
};

/// Arm ARM, D8.3: attributes of pages, and of tables.
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;
const PXN_TABLE: u64 = 1 << 59;
const UXN_TABLE: u64 = 1 << 60;
const AP_TABLE0: u64 = 1 << 61;
const AP_TABLE1: u64 = 1 << 62;

/// Returns the rights to a page under a table, those without privilege first.
fn rights(stage: &Stage1, table: u64, page: u64) -> [&'static str; 2] {
    let (mut memory, path) = mapped(K4, 4, 0x7000 | PAGE | AF | page);
    memory.set(path[1], memory.get(path[1]) | table);

    allowed(|access| stage.translate(&mut memory, IOVA, access).is_ok())
}

#[test]
fn permissions() {
    // Arm ARM, D8.4: of tables, of pages; user, privileged.
    let plain = with(|_| ());
    for (table, page, expected) in [
        (0, 0, ["--x", "rwx"]),
        (0, AP1, ["rwx", "rw-"]),
        (0, AP2, ["--x", "r-x"]),
        (0, AP1 | AP2, ["r-x", "r-x"]),
        (0, UXN, ["---", "rwx"]),
        (0, PXN, ["--x", "rw-"]),
        (0, AP1 | AP2 | UXN, ["r--", "r-x"]),
        (0, AP1 | AP2 | PXN, ["r-x", "r--"]),
        (0, AP1 | UXN | PXN, ["rw-", "rw-"]),
        (AP_TABLE0, AP1, ["--x", "rwx"]),
        (AP_TABLE0, AP1 | AP2, ["--x", "r-x"]),
        (AP_TABLE1, AP1, ["r-x", "r-x"]),
        (AP_TABLE1, 0, ["--x", "r-x"]),
        (AP_TABLE0 | AP_TABLE1, AP1, ["--x", "r-x"]),
        (UXN_TABLE, AP1 | AP2, ["r--", "r-x"]),
        (PXN_TABLE, AP1 | AP2, ["r-x", "r--"]),
        // DBM has no effect where the hardware does not manage the dirty state.
        (0, AP1 | AP2 | DBM, ["r-x", "r-x"]),
    ] {
        assert_eq!(
            rights(&plain, table, page),
            expected,
            "{table:#x} {page:#x}"
        );
    }

    let flat = with(|config| {
        config.lower = config.lower.map(|table| TableConfig {
            flat_permissions: true,
            ..table
        });
    });
    let all = AP_TABLE0 | AP_TABLE1 | UXN_TABLE | PXN_TABLE;
    assert_eq!(rights(&flat, all, AP1), ["rwx", "rw-"]);

    let wxn = with(|config| config.write_xor_execute = true);
    assert_eq!(rights(&wxn, 0, AP1), ["rw-", "rw-"]);
    assert_eq!(rights(&wxn, 0, 0), ["--x", "rw-"]);
    assert_eq!(rights(&wxn, 0, AP1 | AP2), ["r-x", "r-x"]);

    let pan = with(|config| config.privileged_access_never = true);
    assert_eq!(rights(&pan, 0, AP1), ["rwx", "---"]);
    assert_eq!(rights(&pan, 0, AP1 | AP2), ["r-x", "--x"]);
    assert_eq!(rights(&pan, 0, 0), ["--x", "rwx"]);

    let (mut memory, _) = mapped(K4, 4, 0x7000 | PAGE | AF);
    let fault = plain.translate(&mut memory, IOVA, READ).unwrap_err();
    assert_eq!((fault.cause, fault.level), (Cause::Permission, Some(3)));
    assert_eq!(fault.event().number, 0x13);
}

#[test]
fn dirty_state() {
    let stage = with(|config| config.updates = FlagUpdates::AccessAndDirty);
    let clean = 0x7000 | OPEN | AP2 | DBM;

    for (access, after) in [
        (READ, clean),
        (EXECUTE, clean),
        (WRITE, clean & !AP2),
        (ATOMIC, clean & !AP2),
    ] {
        let (mut memory, path) = mapped(K4, 4, clean);
        // A clean page counts as writable; if it is so without privilege, privileged code cannot
        // run from it.
        let found = stage.translate(&mut memory, IOVA, access).unwrap();
        assert_eq!(found.permissions.user, Rights::ALL);
        assert!(!found.permissions.privileged.execute);
        assert_eq!(memory.get(path[3]), after);
    }
    // Both flags are set in one update.
    let (mut memory, path) = mapped(K4, 4, clean & !AF);
    stage.translate(&mut memory, IOVA, WRITE).unwrap();
    assert_eq!(memory.get(path[3]), clean & !AP2);

    // A table descriptor that forbids writing overrides the page.
    let (mut memory, path) = mapped(K4, 4, clean);
    memory.set(path[0], memory.get(path[0]) | AP_TABLE1);
    let fault = stage.translate(&mut memory, IOVA, WRITE).unwrap_err();
    assert_eq!(fault.cause, Cause::Permission);
    assert_eq!(memory.get(path[3]), clean);

    // Only the access flag is managed.
    let access_only = with(|config| config.updates = FlagUpdates::Access);
    let (mut memory, _) = mapped(K4, 4, clean);
    let fault = access_only.translate(&mut memory, IOVA, WRITE).unwrap_err();
    assert_eq!(fault.cause, Cause::Permission);
}
