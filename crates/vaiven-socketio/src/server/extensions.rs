//! Values of an application's own, one of each type.

use super::lock;
use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

/// Values of an application's own, one of each type. Empty it owns no memory.
#[derive(Default)]
pub(super) struct Extensions(Mutex<Values>);

type Values = BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>;

impl Extensions {
    /// Puts a value in, in the place of the one of its type.
    pub(super) fn insert<T: Send + Sync + 'static>(&self, value: T) {
        let before = lock(&self.0).insert(TypeId::of::<T>(), Arc::new(value));
        drop(before);
    }

    pub(super) fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let value = lock(&self.0).get(&TypeId::of::<T>())?.clone();
        value.downcast().ok()
    }

    /// The same values, for another socket of the same client.
    pub(super) fn share(&self) -> Self {
        Self(Mutex::new(lock(&self.0).clone()))
    }

    /// Takes over the values of another one for which there is none here: what was said since counts.
    pub(super) fn adopt(&self, other: &Self) {
        let values = lock(&other.0).clone();
        let mut own = lock(&self.0);
        for (kind, value) in values {
            own.entry(kind).or_insert(value);
        }
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Extensions({})", lock(&self.0).len())
    }
}
