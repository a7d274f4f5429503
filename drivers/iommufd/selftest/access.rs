// SPDX-License-Identifier: GPL-2.0

//! Users of address spaces in the kernel, which take the place of a driver of mediated devices.
//!
//! Each of them is a file, which owns the access and keeps its context. The user records the pages
//! that it has pinned, and unpins them when they are about to be unmapped.

use super::uapi::{
    AccessPages, AccessReplaceIoas, AccessRw, CreateAccess, DestroyAccessPages, TestCommand,
    ACCESS_NEEDS_PAGES, ACCESS_SLOW_PATH, ACCESS_SYZ, ACCESS_WRITE,
};
use crate::{
    access::Access,
    call::{Call, Execute},
    ioas::Ioas,
    uapi::IoasCopy,
    IommufdModule,
};
use iommufd_core::{
    AccessObject, AccessUser, CopyPath, KernelPins, ObjectId, OwnerRef, PinRequest, WeakRef,
};
use kernel::{
    fs::file::{flags::O_CLOEXEC, FileDescriptorReservation},
    module::this_module,
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex, SetOnce},
    uaccess::{UserPtr, UserSlice},
};
use kernel_ext::{
    anon_file::{self, AnonFile, FileRef, Operations},
    mm::{CopyBuffer, PagePointers, UserPage, PAGE_SIZE},
};

/// The largest length that is copied or pinned, in bytes, because a fuzzer passes any number.
const LONGEST: u64 = 16 << 20;

/// The data of the file.
struct TestAccess {
    /// `None` once it has been destroyed.
    access: Option<OwnerRef<Access>>,
    pins: Arc<Pins>,
}

static OPERATIONS: Operations<TestAccess> = Operations::new(this_module::<IommufdModule>());

impl AnonFile for TestAccess {
    const NAME: &'static CStr = c"[iommufd_test_staccess]";

    fn operations() -> &'static Operations<Self> {
        &OPERATIONS
    }
}

impl TestAccess {
    fn access(&self) -> Result<&OwnerRef<Access>> {
        self.access.as_ref().ok_or(ENODEV)
    }

    /// Returns the IOVA that a fuzzer means; see [`guessed`].
    fn guessed(&self, iova: u64) -> Result<u64> {
        let access = self.access()?;

        Ok(guessed(iova, |nth| {
            nth_area(access.state.lock().to_pin()?, nth)
        }))
    }
}

impl Drop for TestAccess {
    fn drop(&mut self) {
        if let Some(access) = self.access.take() {
            Access::leave(&access);
        }
    }
}

/// The ranges that are pinned.
#[pin_data]
struct Pins {
    needs_pages: bool,
    /// The access, which is not destroyed before all ranges are unpinned.
    access: SetOnce<WeakRef<Access>>,
    #[pin]
    items: Mutex<Items>,
}

#[derive(Default)]
struct Items {
    next_id: u32,
    list: KVec<Item>,
}

struct Item {
    id: u32,
    iova: u64,
    length: u64,
    pins: KernelPins,
}

impl Item {
    fn meets(&self, first: u64, last: u64) -> bool {
        first <= self.iova + (self.length - 1) && last >= self.iova
    }
}

/// The user of the access.
struct User(Arc<Pins>);

impl AccessUser for User {
    fn needs_pages(&self) -> bool {
        self.0.needs_pages
    }

    fn unmap(&self, iova: u64, length: u64) {
        let last = iova.saturating_add(length.saturating_sub(1));
        let mut items = self.0.items.lock();
        let Some(access) = self.0.access.as_ref().and_then(WeakRef::upgrade) else {
            return;
        };

        while let Some(at) = items.list.iter().position(|item| item.meets(iova, last)) {
            if let Ok(item) = items.list.remove(at) {
                access.unpin_pages(item.iova, item.length, item.pins);
            }
        }
    }
}

/// `CREATE_ACCESS`: creates a user of an address space.
///
/// # Errors
///
/// `EOPNOTSUPP` for an unknown flag, `ENOMEM`, `ENOENT` if there is no such address space.
pub(super) fn create(command: &mut TestCommand, call: &Call<'_>) -> Result {
    let CreateAccess { flags, .. } = command.arguments()?;

    if flags & !ACCESS_NEEDS_PAGES != 0 {
        return Err(EOPNOTSUPP);
    }
    let pins = Arc::pin_init(
        pin_init!(Pins {
            needs_pages: flags & ACCESS_NEEDS_PAGES != 0,
            access: SetOnce::new(),
            items <- new_mutex!(Items::default(), "Pins::items"),
        }),
        GFP_KERNEL_ACCOUNT,
    )?;
    let descriptor =
        FileDescriptorReservation::get_unused_fd_flags(O_CLOEXEC).map_err(|_| ENOMEM)?;
    let user = KBox::new(User(pins.clone()), GFP_KERNEL_ACCOUNT)?;
    let access = Access::create(call.context, user)?;

    pins.access.populate(access.downgrade());
    // From here on, the file owns the access and destroys it.
    let access = TestAccess {
        access: Some(access),
        pins,
    };

    Access::attach(access.access()?, ObjectId(command.id))?;
    let file = anon_file::open(access)?;

    command.answer(&CreateAccess {
        out_access_fd: descriptor.reserved_fd(),
        flags,
    })?;
    call.respond(command)?;
    descriptor.fd_install(file);
    Ok(())
}

/// `DESTROY_ACCESS_PAGES`: unpins a range.
///
/// # Errors
///
/// `ENOENT` if no range has this number.
pub(super) fn give_back(command: &TestCommand) -> Result {
    let file = FileRef::<TestAccess>::from_fd(command.id)?;
    let DestroyAccessPages { access_pages_id } = command.arguments()?;
    let mut items = file.pins.items.lock();
    let at = items
        .list
        .iter()
        .position(|item| item.id == access_pages_id)
        .ok_or(ENOENT)?;
    let item = items.list.remove(at)?;

    file.access()?
        .unpin_pages(item.iova, item.length, item.pins);
    Ok(())
}

/// `ACCESS_PAGES`: pins a range.
///
/// # Errors
///
/// `EOPNOTSUPP` for an unknown flag, or if the user does not need pages; `EBADE` if the pages are
/// not those that the caller expects; `ENOMEM`; else those of pinning.
pub(super) fn pin(command: &mut TestCommand, call: &Call<'_>) -> Result {
    let AccessPages {
        flags,
        mut iova,
        length,
        uptr,
        ..
    } = command.arguments()?;

    if length > LONGEST {
        return Err(ENOMEM);
    }
    if flags & !(ACCESS_WRITE | ACCESS_SYZ) != 0 {
        return Err(EOPNOTSUPP);
    }
    let file = FileRef::<TestAccess>::from_fd(command.id)?;

    if !file.pins.needs_pages {
        return Err(EOPNOTSUPP);
    }
    if flags & ACCESS_SYZ != 0 {
        iova = file.guessed(iova)?;
    }
    let offset = iova % PAGE_SIZE as u64;
    let npages = (offset + length).div_ceil(PAGE_SIZE as u64) as usize;
    let mut pages = PagePointers::new(npages)?;
    let access = file.access()?;
    // Held while pages are pinned, so that `unmap` of the user waits, and then finds the new range.
    let mut items = file.pins.items.lock();

    items.list.reserve(1, GFP_KERNEL_ACCOUNT)?;

    let mut request = PinRequest::new(pages.slots());
    access.pin_pages(iova, length, &mut request, flags & ACCESS_WRITE != 0)?;
    let pins = request.finish()?;

    let id = items.next_id;
    let pinned = check_pages(&pages, uptr.wrapping_sub(offset), uptr != 0).and_then(|()| {
        command.answer(&AccessPages {
            flags,
            out_access_pages_id: id,
            iova,
            length,
            uptr,
        })?;
        call.respond(command)
    });

    items.next_id = id.wrapping_add(1);
    if pinned.is_err() {
        access.unpin_pages(iova, length, pins);
        return pinned;
    }
    items.list.push_within_capacity(Item {
        id,
        iova,
        length,
        pins,
    })?;
    Ok(())
}

/// Compares pages with those at the user address `address`, if `expected`.
fn check_pages(pages: &PagePointers, address: u64, expected: bool) -> Result {
    if !expected {
        return Ok(());
    }
    for index in 0..pages.len() {
        let page = UserPage::at((address as usize).wrapping_add(index * PAGE_SIZE))?;

        if !pages.has(index, &page) {
            return Err(EBADE);
        }
    }
    Ok(())
}

/// `ACCESS_RW`: copies from or to memory.
///
/// # Errors
///
/// `EOPNOTSUPP` for an unknown flag, `EFAULT`, `ENOMEM`, else those of copying.
pub(super) fn copy(command: &TestCommand) -> Result {
    let AccessRw {
        mut iova,
        length,
        uptr,
        flags,
        ..
    } = command.arguments()?;

    if length > LONGEST {
        return Err(ENOMEM);
    }
    if flags & !(ACCESS_WRITE | ACCESS_SLOW_PATH | ACCESS_SYZ) != 0 {
        return Err(EOPNOTSUPP);
    }
    let file = FileRef::<TestAccess>::from_fd(command.id)?;
    let length = length as usize;
    let user = UserSlice::new(UserPtr::from_addr(uptr as usize), length);
    let mut bytes = KVVec::from_elem(0u8, length, GFP_KERNEL_ACCOUNT)?;
    let path = if flags & ACCESS_SLOW_PATH != 0 {
        CopyPath::Slow
    } else {
        CopyPath::Caller
    };

    if flags & ACCESS_SYZ != 0 {
        iova = file.guessed(iova)?;
    }
    if flags & ACCESS_WRITE != 0 {
        user.reader().read_slice(&mut bytes)?;
        file.access()?.rw(iova, CopyBuffer::Write(&bytes), path)
    } else {
        file.access()?
            .rw(iova, CopyBuffer::Read(&mut bytes), path)?;
        user.writer().write_slice(&bytes)
    }
}

/// Returns the IOVA that a fuzzer means. A fuzzer does not know any IOVA, so it passes the number
/// of an area and an offset in it; `nth_area` returns the first IOVA of an area.
fn guessed(iova: u64, nth_area: impl FnOnce(u32) -> Option<u64>) -> u64 {
    // The halves are fields of a struct, in the CPU's order.
    let [nth, offset] = if cfg!(target_endian = "little") {
        [iova as u32, (iova >> 32) as u32]
    } else {
        [(iova >> 32) as u32, iova as u32]
    };

    nth_area(nth).map_or(0, |first| first.wrapping_add(offset.into()))
}

/// Returns the first IOVA of the area with `nth` areas before it.
fn nth_area(ioas: &Ioas, nth: u32) -> Option<u64> {
    let map = ioas.map.read();
    let mut start = 0;

    for _ in 0..nth {
        start = map.first_in(start, u64::MAX)?.last().checked_add(1)?;
    }
    map.first_in(start, u64::MAX).map(|area| area.first())
}

/// Carries `IOMMU_IOAS_COPY` out, with one more flag, by which a fuzzer passes the number of an
/// area instead of an IOVA.
pub(super) fn copy_area(call: &Call<'_>) -> Result<isize> {
    let mut command = call.read::<IoasCopy>()?;

    if command.flags & ACCESS_SYZ != 0 {
        command.flags &= !ACCESS_SYZ;
        if let Ok(ioas) = call.context.get::<Ioas>(ObjectId(command.src_ioas_id)) {
            command.src_iova = guessed(command.src_iova, |nth| nth_area(&ioas, nth));
        }
    }
    command.execute(call).map(|()| 0)
}

/// `ACCESS_REPLACE_IOAS`: moves a user to another address space.
pub(super) fn replace(command: &TestCommand) -> Result {
    let file = FileRef::<TestAccess>::from_fd(command.id)?;
    let AccessReplaceIoas { ioas_id } = command.arguments()?;

    Access::replace(file.access()?, ObjectId(ioas_id))
}
