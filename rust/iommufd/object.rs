// SPDX-License-Identifier: GPL-2.0

//! Objects and the references to them.
//!
//! Each object counts two things. `users` starts at one, which the table holds; every long-lived
//! reference adds one, and only an object whose sole user is the table can be destroyed. `wait_cnt`
//! starts at one as well; every call that has looked the object up adds one to both while it runs.
//! A driver that destroys its object sleeps until those calls are done: they cannot hinder it.

use super::{
    context::{Context, Iommufd},
    weak::WeakRef,
};
use crate::bindings;
use core::{ffi::c_void, marker::PhantomData, mem::ManuallyDrop, ops::Deref, ptr::NonNull};
use kernel::{
    prelude::*,
    sync::{aref::ARef, Refcount},
    types::Opaque,
};

/// The name of an object within its context, as user space knows it. No object has zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObjectId(pub u32);

/// The kinds of objects; the numbers are the kernel's `enum iommufd_object_type`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum ObjectKind {
    /// A user in the kernel of an IO address space.
    Access = bindings::iommufd_object_type_IOMMUFD_OBJ_ACCESS,
    /// A device bound to the context.
    Device = bindings::iommufd_object_type_IOMMUFD_OBJ_DEVICE,
    /// A page table that the kernel fills.
    HwptPaging = bindings::iommufd_object_type_IOMMUFD_OBJ_HWPT_PAGING,
    /// An IO address space.
    Ioas = bindings::iommufd_object_type_IOMMUFD_OBJ_IOAS,
    /// A mock device (test builds only).
    #[cfg(CONFIG_IOMMUFD_RUST_TEST)]
    Selftest = bindings::iommufd_object_type_IOMMUFD_OBJ_SELFTEST,
}

/// The size of a table with an entry for each kind.
pub(crate) const KINDS: usize = bindings::iommufd_object_type_IOMMUFD_OBJ_MAX as usize;

/// A type of object that a context of `Self::Family` may hold.
///
/// Implemented by [`iommufd_objects!`](crate::iommufd_objects).
///
/// # Safety
///
/// No other type of the family has the same `KIND`.
pub unsafe trait ObjectType: Send + Sync + Sized + 'static {
    /// Whose objects these are.
    type Family: Iommufd;
    /// The number that C knows the type by.
    const KIND: ObjectKind;
}

/// The types of objects that belong together.
///
/// Implemented by [`iommufd_objects!`](crate::iommufd_objects).
///
/// # Safety
///
/// `OBJECTS` has the operations of every [`ObjectType`] of this family.
pub unsafe trait ObjectFamily {
    /// What to do with objects of each kind.
    const OBJECTS: ObjectTable;
}

/// An object as it lies in memory: the header that C knows, then what it is.
#[repr(C)]
#[pin_data]
pub struct Object<T: ObjectType> {
    pub(crate) header: Header,
    #[pin]
    value: T,
    /// The context that has made it: the only one in whose table it may ever stand. Dropped last.
    context: ARef<Context<T::Family>>,
}

impl<T: ObjectType> Object<T> {
    /// Where behind the header the value begins, in bytes.
    pub(crate) const VALUE_OFFSET: usize = core::mem::offset_of!(Self, value);

    /// Returns an initialiser for an object of `context` that has no user yet but the table.
    pub(crate) fn new(
        context: &Context<T::Family>,
        id: ObjectId,
        init: impl PinInit<T, Error>,
    ) -> impl PinInit<Self, Error> {
        let context = context.to_aref();

        try_pin_init!(Self {
            header: Header::new(T::KIND, id),
            value <- init,
            context,
        })
    }

    /// What the object is.
    pub(crate) fn value(&self) -> &T {
        &self.value
    }

    /// The context that it is an object of.
    pub(crate) fn context(&self) -> &ARef<Context<T::Family>> {
        &self.context
    }
}

/// The kernel's `struct iommufd_object`.
#[repr(transparent)]
pub(crate) struct Header(Opaque<bindings::iommufd_object>);

// SAFETY: The counters are atomic, the rest is constant.
unsafe impl Send for Header {}
// SAFETY: As above.
unsafe impl Sync for Header {}

impl Header {
    fn new(kind: ObjectKind, id: ObjectId) -> Self {
        let header = Self(Opaque::new(bindings::iommufd_object {
            type_: kind as u32,
            id: id.0,
            ..pin_init::zeroed()
        }));

        header.wait_count().set(1);
        header.users().set(1);
        header
    }

    pub(crate) fn id(&self) -> ObjectId {
        // SAFETY: The ID is written once, before the object is shared.
        ObjectId(unsafe { (*self.0.get()).id })
    }

    pub(crate) fn kind(&self) -> u32 {
        // SAFETY: The type is written once, before the object is shared.
        unsafe { (*self.0.get()).type_ }
    }

    pub(crate) fn users(&self) -> &Refcount {
        // SAFETY: The projection stays within the object.
        let users = unsafe { &raw const (*self.0.get()).users };
        // SAFETY: `Refcount` is a transparent `refcount_t`, and the field lives as long as `self`.
        unsafe { &*users.cast() }
    }

    pub(crate) fn wait_count(&self) -> &Refcount {
        // SAFETY: `Refcount` is a transparent `refcount_t`, and the field lives as long as `self`.
        unsafe { &*self.wait_count_raw().cast() }
    }

    /// The `refcount_t` that destruction waits for.
    pub(crate) fn wait_count_raw(&self) -> *mut bindings::refcount_t {
        // SAFETY: The projection stays within the object.
        unsafe { &raw mut (*self.0.get()).wait_cnt }
    }

    /// Takes both counts, unless the object is being destroyed. The caller either holds the lock of
    /// the table or a reference.
    pub(crate) fn try_lock(&self) -> bool {
        if !inc_not_zero(self.users()) {
            return false;
        }
        if !inc_not_zero(self.wait_count()) {
            self.users().dec();
            return false;
        }
        true
    }

    /// Takes a user, unless the object is being destroyed. The caller holds the lock of the table.
    pub(crate) fn try_use(&self) -> bool {
        inc_not_zero(self.users())
    }

    /// Takes the last of the users, the table's own. What earlier users did to the object comes
    /// before what the caller does next.
    pub(crate) fn take_last_user(&self) -> bool {
        let users = (&raw const *self.users()).cast_mut().cast();

        // SAFETY: `Refcount` is a transparent `refcount_t`.
        unsafe { bindings::iommufd_core_refcount_take_last(users) }
    }
}

fn inc_not_zero(count: &Refcount) -> bool {
    // SAFETY: `Refcount` is a transparent `refcount_t`.
    unsafe { bindings::iommufd_core_refcount_inc_not_zero((&raw const *count).cast_mut().cast()) }
}

/// How to get rid of objects of one type.
#[derive(Clone, Copy)]
pub struct ObjectOps {
    drop: unsafe fn(NonNull<Header>),
}

impl ObjectOps {
    /// The operations for `T`.
    pub const fn of<T: ObjectType>() -> Self {
        Self {
            drop: drop_object::<T>,
        }
    }

    /// Drops an object and frees its memory.
    ///
    /// # Safety
    ///
    /// The object is of the type that these operations are for, and nobody uses it any more.
    pub(crate) unsafe fn drop(&self, header: NonNull<Header>) {
        // SAFETY: The caller promises what `drop_object` requires, for the type that `of` was
        // called with.
        unsafe { (self.drop)(header) };
    }
}

/// # Safety
///
/// As for [`ObjectOps::drop`].
unsafe fn drop_object<T: ObjectType>(header: NonNull<Header>) {
    // SAFETY: The caller promises that this is the header of an `Object<T>`, at whose start it is.
    // Objects are allocated in a `KBox` by `Context::reserve`. There is no other user, so this
    // function may free it.
    drop(unsafe { KBox::from_raw(header.cast::<Object<T>>().as_ptr()) });
}

/// Declares the types of objects of an [`Iommufd`], each with its kind.
///
/// Gives each type its [`ObjectType`], and the family its table of what to do with them. Neither a
/// kind that is named twice nor a second set of types for a family compiles.
#[macro_export]
macro_rules! iommufd_objects {
    ($family:ty { $($(#[$meta:meta])* $kind:ident => $type:ty),+ $(,)? }) => {
        $(
            $(#[$meta])*
            // SAFETY: The table below cannot be built if a kind is named twice.
            unsafe impl $crate::ObjectType for $type {
                type Family = $family;
                const KIND: $crate::ObjectKind = $crate::ObjectKind::$kind;
            }
        )+

        // SAFETY: The table has all types above, and a family has one table.
        unsafe impl $crate::ObjectFamily for $family {
            const OBJECTS: $crate::ObjectTable = {
                let mut table = $crate::ObjectTable::empty();
                $(
                    $(#[$meta])*
                    {
                        table = table.with::<$type>();
                    }
                )+
                table
            };
        }
    };
}

/// The operations of all types of objects of a family, by kind.
pub struct ObjectTable([Option<ObjectOps>; KINDS]);

impl ObjectTable {
    /// A table without types.
    pub const fn empty() -> Self {
        Self([None; KINDS])
    }

    /// Adds a type. To be evaluated at compile time.
    pub const fn with<T: ObjectType>(mut self) -> Self {
        let slot = &mut self.0[T::KIND as usize];

        assert!(slot.is_none(), "two types of objects have the same kind");
        *slot = Some(ObjectOps::of::<T>());
        self
    }

    /// The operations for objects of `kind`.
    pub(crate) fn get(&self, kind: u32) -> Option<&ObjectOps> {
        self.0.get(kind as usize)?.as_ref()
    }
}

/// A long-lived reference: the object cannot be destroyed until it is dropped. `IOMMU_DESTROY`
/// fails with `EBUSY`; an [`OwnerRef`] that is dropped earlier leaks the object.
///
/// # Invariants
///
/// `0` is valid; this value owns one of its `users`.
pub struct UserRef<T: ObjectType>(NonNull<Object<T>>);

// SAFETY: Objects are `Send` and `Sync`, and so are the counters.
unsafe impl<T: ObjectType> Send for UserRef<T> {}
// SAFETY: As above.
unsafe impl<T: ObjectType> Sync for UserRef<T> {}

impl<T: ObjectType> UserRef<T> {
    /// Takes one more reference to an object that cannot vanish meanwhile.
    ///
    /// # Safety
    ///
    /// The caller holds a reference of any sort.
    pub(crate) unsafe fn new(object: NonNull<Object<T>>) -> Self {
        // SAFETY: The caller promises that it holds a reference, so the object is valid.
        unsafe { object.as_ref() }.header.users().inc();
        // INVARIANT: The new value owns the user that was added just now.
        Self(object)
    }

    /// The ID of the object.
    pub fn id(&self) -> ObjectId {
        self.object().header.id()
    }

    fn object(&self) -> &Object<T> {
        // SAFETY: By the type invariant it is valid.
        unsafe { self.0.as_ref() }
    }

    /// Whether both are references to the same object.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// Gives the reference up, and destroys the object if the table of its context has the only
    /// other one. An object that is not published stays: it belongs to the caller that has reserved
    /// it.
    ///
    /// The caller holds no lock that dropping a `T` takes.
    pub fn put_and_try_destroy(self) {
        let this = ManuallyDrop::new(self);
        // The object may be the last that keeps its context.
        let context = this.object().context().clone();

        // SAFETY: This is an object of that context, and the user is not given up a second time.
        unsafe { context.put_and_try_destroy(this.0.cast()) };
    }

    /// # Safety
    ///
    /// `object` is valid, and the caller gives up one of its users.
    pub(crate) unsafe fn from_raw(object: NonNull<Object<T>>) -> Self {
        // INVARIANT: The user is the caller's to give.
        Self(object)
    }
}

impl<T: ObjectType> Clone for UserRef<T> {
    fn clone(&self) -> Self {
        // SAFETY: `self` is a reference.
        unsafe { Self::new(self.0) }
    }
}

impl<T: ObjectType> Deref for UserRef<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.object().value
    }
}

impl<T: ObjectType> Drop for UserRef<T> {
    fn drop(&mut self) {
        // The table holds one user, so this is never the last. The object is not touched
        // afterwards.
        self.object().header.users().dec();
    }
}

/// The reference that the in-kernel driver has for which an object was made: a bound device, an
/// access.
///
/// There is one for each such object, given out by [`Reserved::publish_owned`]. User space cannot
/// destroy the object (`EBUSY`). Dropping the reference does: it first takes the object out of the
/// table, so that no new call finds it, and then sleeps until the calls are done that already have.
/// Calls must therefore not hold an [`ObjectGuard`] for an object of such a type while they wait
/// for user space, as a copy to or from its memory may.
///
/// An object that is still in use after a minute, or to which a [`UserRef`] is left, is leaked with
/// a warning. It is no longer in the table then.
///
/// So two drivers cannot both destroy an object, and one cannot destroy what it does not own:
///
/// ```ignore
/// let device: OwnerRef<Device> = Device::bind(context, dev)?;
///
/// drop(device.clone()); // does not compile: an `OwnerRef` is not `Clone`
/// drop(device);
/// device.id(); // does not compile: the device is gone
/// ```
///
/// [`Reserved::publish_owned`]: super::Reserved::publish_owned
///
/// # Invariants
///
/// `0` is published in the table of its context. This value owns one of its `users`, and is the
/// only `OwnerRef` to it.
pub struct OwnerRef<T: ObjectType>(NonNull<Object<T>>);

// SAFETY: Objects are `Send` and `Sync`, and so are the counters and the context.
unsafe impl<T: ObjectType> Send for OwnerRef<T> {}
// SAFETY: As above.
unsafe impl<T: ObjectType> Sync for OwnerRef<T> {}

impl<T: ObjectType> OwnerRef<T> {
    /// The ID of the object.
    pub fn id(&self) -> ObjectId {
        self.object().header.id()
    }

    /// The context that the object belongs to.
    pub fn context(&self) -> &Context<T::Family> {
        self.object().context()
    }

    /// Returns a long-lived reference to the same object, which must be gone before this one.
    pub fn to_user(&self) -> UserRef<T> {
        // SAFETY: `self` is a reference.
        unsafe { UserRef::new(self.0) }
    }

    /// Returns a reference that does not keep the object.
    pub fn downgrade(&self) -> WeakRef<T> {
        WeakRef::new(self.object())
    }

    fn object(&self) -> &Object<T> {
        // SAFETY: By the type invariant it is valid.
        unsafe { self.0.as_ref() }
    }

    /// The object as C knows it, for structures that C reads.
    pub(crate) fn as_c_ptr(&self) -> *const c_void {
        self.0.as_ptr().cast()
    }

    /// Gives the reference away as a pointer; [`from_raw`](Self::from_raw) takes it back.
    pub(crate) fn into_raw(self) -> NonNull<Object<T>> {
        ManuallyDrop::new(self).0
    }

    /// # Safety
    ///
    /// `object` is published in the table of its context. The caller gives up one of its users, and
    /// has no other `OwnerRef` to it.
    pub(crate) unsafe fn from_raw(object: NonNull<Object<T>>) -> Self {
        // INVARIANT: The caller promises that the object is published, gives up a user, and has no
        // other `OwnerRef`.
        Self(object)
    }
}

impl<T: ObjectType> Deref for OwnerRef<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.object().value()
    }
}

impl<T: ObjectType> Drop for OwnerRef<T> {
    fn drop(&mut self) {
        // The object may be the last that keeps its context.
        let context = self.object().context().clone();

        // SAFETY: By the type invariant the object is published in this context, and this value
        // owns a user, which is not used after this.
        unsafe { context.destroy_owned(self.0.cast()) };
    }
}

/// A short-lived reference, for one call. User space cannot destroy the object meanwhile (`EBUSY`);
/// an [`OwnerRef`] that is dropped waits for it.
pub struct ObjectGuard<'a, T: ObjectType> {
    any: AnyGuard<'a, T::Family>,
    _type: PhantomData<&'a Object<T>>,
}

impl<T: ObjectType> ObjectGuard<'_, T> {
    fn object(&self) -> NonNull<Object<T>> {
        self.any.header.cast()
    }

    /// The ID of the object.
    pub fn id(&self) -> ObjectId {
        self.any.header().id()
    }

    /// A long-lived reference to the same object.
    pub fn to_user(&self) -> UserRef<T> {
        // SAFETY: `self` is a reference.
        unsafe { UserRef::new(self.object()) }
    }

    /// Whether `user` refers to the same object.
    pub fn is_same(&self, user: &UserRef<T>) -> bool {
        self.object() == user.0
    }
}

impl<T: ObjectType> Deref for ObjectGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: The guard keeps the object, and `downcast` checked its type.
        &unsafe { &*self.object().as_ptr() }.value
    }
}

/// As [`ObjectGuard`], for an object of any type.
///
/// # Invariants
///
/// `header` belongs to an object of `context`; this value owns one of its `users` and one of its
/// `wait_cnt`.
pub struct AnyGuard<'a, I: Iommufd> {
    context: &'a Context<I>,
    header: NonNull<Header>,
}

impl<'a, I: Iommufd> AnyGuard<'a, I> {
    /// # Safety
    ///
    /// [`Header::try_lock`] succeeded for this object of `context`, and the result is given up
    /// here.
    pub(crate) unsafe fn new(context: &'a Context<I>, header: NonNull<Header>) -> Self {
        // INVARIANT: The caller gives the counts up.
        Self { context, header }
    }

    fn header(&self) -> &Header {
        // SAFETY: By the type invariant the object stays.
        unsafe { self.header.as_ref() }
    }

    /// The object as a `T`, if it is one.
    pub fn downcast<T: ObjectType<Family = I>>(
        self,
    ) -> core::result::Result<ObjectGuard<'a, T>, Self> {
        if self.header().kind() == T::KIND as u32 {
            Ok(ObjectGuard {
                any: self,
                _type: PhantomData,
            })
        } else {
            Err(self)
        }
    }
}

impl<I: Iommufd> Drop for AnyGuard<'_, I> {
    fn drop(&mut self) {
        // `users` first, so that whoever sees `wait_cnt` at zero also sees no user of ours. The
        // object may be gone as soon as `wait_cnt` is zero.
        self.header().users().dec();
        if self.header().wait_count().dec_and_test() {
            self.context.wake_destroyers();
        }
    }
}
