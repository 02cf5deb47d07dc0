//! Numbers, sizes and times in udpagent.toml, written as numbers or as text with a unit.
//!
//! Invariant: what is out of range is refused, with what may be written instead.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, Visitor};

use crate::agent::{cgroup_limits, size};
use crate::duration;
use crate::process::CgroupParent;

/// A number, or a string with a unit.
pub(super) enum Quantity {
    Number(u64),
    Text(String),
}

impl Quantity {
    fn into_text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a string with a unit")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Quantity, E> {
                u64::try_from(number)
                    .map(Quantity::Number)
                    .map_err(|_| E::custom("write a number that is not negative"))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Quantity, E> {
                Ok(Quantity::Text(text.to_owned()))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

pub(super) struct Runtime(pub(super) Duration);

impl<'de> Deserialize<'de> for Runtime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Quantity::deserialize(deserializer)?.into_text();
        duration::parse(&text).map(Self).map_err(D::Error::custom)
    }
}

/// A number of bytes.
pub(super) struct Size(pub(super) u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Quantity::deserialize(deserializer)? {
            Quantity::Number(bytes) => Some(bytes),
            Quantity::Text(text) => size::parse(&text),
        }
        .map(Self)
        .ok_or_else(|| D::Error::custom(format!("write {}", size::WANT)))
    }
}

pub(super) struct CgroupParentText(pub(super) CgroupParent);

impl<'de> Deserialize<'de> for CgroupParentText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "auto" => Ok(Self(CgroupParent::Auto)),
            "off" => Ok(Self(CgroupParent::Off)),
            path if path.starts_with('/') => Ok(Self(CgroupParent::At(path.into()))),
            _ => Err(D::Error::custom(
                "write \"auto\", \"off\" or the path of a directory",
            )),
        }
    }
}

pub(super) struct CgroupMemory(pub(super) u64);

impl<'de> Deserialize<'de> for CgroupMemory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Quantity::deserialize(deserializer)?.into_text();
        let bytes = cgroup_limits::parse_memory(&text).map(Self);
        bytes.ok_or_else(|| D::Error::custom(format!("write {}", cgroup_limits::MEMORY_WANT)))
    }
}

/// A percentage of one processor.
pub(super) struct CgroupCpu(pub(super) u32);

impl<'de> Deserialize<'de> for CgroupCpu {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Quantity::deserialize(deserializer)?.into_text();
        let percent = cgroup_limits::parse_cpu(&text).map(Self);
        percent.ok_or_else(|| D::Error::custom(format!("write {}", cgroup_limits::CPU_WANT)))
    }
}

/// A number of at least one.
pub(super) struct Count(pub(super) u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Quantity::deserialize(deserializer)? {
            Quantity::Number(count @ 1..) => Ok(Self(count)),
            Quantity::Number(0) | Quantity::Text(_) => {
                Err(D::Error::custom("write a number of at least 1"))
            }
        }
    }
}
