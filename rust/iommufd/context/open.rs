// SPDX-License-Identifier: GPL-2.0

//! The file of a context: it owns the context, and others keep it open.

use super::{Context, ContextDevice, Iommufd};
use crate::{bindings, miscdev::Opening};
use core::{ffi::c_void, mem::ManuallyDrop, ops::Deref, ptr::NonNull};
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        aref::{ARef, AlwaysRefCounted},
        Refcount,
    },
    types::{ForeignOwnable, Opaque},
};

/// The file of a context.
pub(super) struct FilePtr(NonNull<bindings::file>);

// SAFETY: Files may be used on any thread.
unsafe impl Send for FilePtr {}

// SAFETY: The context is freed with its last reference.
unsafe impl<I: Iommufd> AlwaysRefCounted for Context<I> {
    fn inc_ref(&self) {
        self.memory.inc();
    }

    unsafe fn dec_ref(context: NonNull<Self>) {
        // SAFETY: The caller has a reference, so the context is there.
        let this = unsafe { context.as_ref() };

        if this.memory.dec_and_test() {
            // SAFETY: No object is left, since each has a reference to the context: the table is
            // empty but for IDs that were reserved for ever. No caller has the context any more.
            unsafe { bindings::iommufd_core_ctx_destroy(this.shared.get()) };
            // SAFETY: It came out of a `KBox`, and that was the last reference.
            drop(unsafe { KBox::from_raw(context.as_ptr()) });
        }
    }
}

/// A reference to a context that keeps its file open.
///
/// # Invariants
///
/// This value owns a reference to the file of the context.
pub struct OpenRef<I: Iommufd>(ARef<Context<I>>);

impl<I: Iommufd> Clone for OpenRef<I> {
    fn clone(&self) -> Self {
        // SAFETY: By the type invariant the file is open.
        unsafe { self.0.get_file() };
        // INVARIANT: That reference is the new value's.
        Self(self.0.clone())
    }
}

impl<I: Iommufd> Deref for OpenRef<I> {
    type Target = Context<I>;

    fn deref(&self) -> &Context<I> {
        &self.0
    }
}

impl<I: Iommufd> Drop for OpenRef<I> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this value owns the reference, which is not used after
        // this.
        unsafe { self.0.put_file() };
    }
}

/// The context that a file owns. Dropping it, when the file is closed, destroys all objects.
pub struct OpenContext<I: Iommufd>(ARef<Context<I>>);

impl<I: Iommufd> OpenContext<I> {
    /// A context without objects for a file that is being opened, and that it goes with.
    pub(super) fn new(opening: Opening<'_, ContextDevice<I>>) -> Result<Self> {
        // The file becomes one of `ContextDevice<I>` with this context as its data, so the context
        // is dropped when the file is released.
        let file = opening.file().as_ptr();
        let context = try_pin_init!(Context::<I> {
            shared <- Opaque::ffi_init(move |slot: *mut bindings::iommufd_ctx_layout| {
                // SAFETY: The initialiser passes a `slot` that is valid for writing.
                unsafe { slot.write(pin_init::zeroed()) };
                // SAFETY: `slot` is pinned, and zeroed just now. `file` is the file that is being
                // opened.
                unsafe { bindings::iommufd_core_ctx_init(slot, file) };
            }),
            device: opening.device().into(),
            memory: Refcount::new(1),
            file <- new_spinlock!(NonNull::new(file).map(FilePtr), "Context::file"),
            state <- I::state(opening.minor()),
        }? Error);
        let context = KBox::try_pin_init(context, GFP_KERNEL_ACCOUNT)?;
        // SAFETY: The context stays where it is until `dec_ref` makes a box of it again.
        let context = KBox::leak(unsafe { Pin::into_inner_unchecked(context) });

        // SAFETY: The count of one is the reference that the result owns.
        Ok(Self(unsafe { ARef::from_raw(NonNull::from(context)) }))
    }
}

impl<I: Iommufd> Drop for OpenContext<I> {
    fn drop(&mut self) {
        *self.0.file.lock() = None;
        self.0.destroy_all();
    }
}

// SAFETY: The pointer is that of the context, never null, and aligned as that is.
unsafe impl<I: Iommufd> ForeignOwnable for OpenContext<I> {
    const FOREIGN_ALIGN: usize = align_of::<Context<I>>();
    type Borrowed<'a> = &'a Context<I>;
    type BorrowedMut<'a> = &'a Context<I>;

    fn into_foreign(self) -> *mut c_void {
        let this = ManuallyDrop::new(self);

        (&raw const *this.0).cast_mut().cast()
    }

    unsafe fn from_foreign(ptr: *mut c_void) -> Self {
        // SAFETY: `into_foreign` returned the address of a context, which is not null.
        let context = unsafe { NonNull::new_unchecked(ptr.cast()) };
        // SAFETY: `into_foreign` forgot the reference, which the caller gives back only once.
        Self(unsafe { ARef::from_raw(context) })
    }

    unsafe fn borrow<'a>(ptr: *mut c_void) -> &'a Context<I> {
        // SAFETY: `into_foreign` gave the pointer, and it is not taken back while borrowed.
        unsafe { &*ptr.cast() }
    }

    unsafe fn borrow_mut<'a>(ptr: *mut c_void) -> &'a Context<I> {
        // SAFETY: As for `borrow`.
        unsafe { Self::borrow(ptr) }
    }
}

impl<I: Iommufd> Context<I> {
    /// A reference that keeps the file open; `None` once it has been closed.
    pub fn keep_open(&self) -> Option<OpenRef<I>> {
        let file = self.file.lock();

        // SAFETY: By the type invariant the file is not quite gone while the lock is held.
        if !unsafe { bindings::iommufd_core_get_file_unless_closed(file.as_ref()?.0.as_ptr()) } {
            return None;
        }
        // INVARIANT: The reference was taken just now.
        Some(OpenRef(self.to_aref()))
    }

    /// Takes one more reference to the file.
    ///
    /// # Safety
    ///
    /// The caller has one.
    pub(crate) unsafe fn get_file(&self) {
        // SAFETY: The caller has a reference to the file.
        unsafe { bindings::iommufd_core_get_file(self.file_ptr()) };
    }

    /// Gives a reference to the file up. The context may be gone afterwards.
    ///
    /// # Safety
    ///
    /// The caller has one.
    pub(crate) unsafe fn put_file(&self) {
        // SAFETY: The caller gives its reference to the file up.
        unsafe { bindings::fput(self.file_ptr()) };
    }

    /// Returns the file, which is valid only while a reference to it exists.
    fn file_ptr(&self) -> *mut bindings::file {
        // SAFETY: `OpenContext::new` writes the field once, before any other code has the context.
        unsafe { (*self.shared.get()).file }
    }
}
