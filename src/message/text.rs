//! Operating-system strings as JSON: a string if it is UTF-8, else `{"b64": "…"}`; in binary formats, their bytes.
//!
//! Invariant: every byte survives, also of what is no text.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Argument, path, variable or script, byte for byte. Clones share the bytes, so that the requests to many hosts hold
/// them once.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct OsText(Arc<OsStr>);

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Wire {
    Text(String),
    Bytes { b64: String },
}

impl OsText {
    /// Returns the string as the operating system takes it.
    #[must_use]
    pub fn as_os_str(&self) -> &OsStr {
        &self.0
    }

    /// Returns the string as the operating system takes it.
    #[must_use]
    pub fn into_os_string(self) -> OsString {
        self.0.as_ref().to_owned()
    }
}

impl From<&str> for OsText {
    fn from(text: &str) -> Self {
        Self(OsStr::new(text).into())
    }
}

impl From<OsString> for OsText {
    fn from(text: OsString) -> Self {
        Self(text.into())
    }
}

impl Serialize for OsText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_bytes(self.0.as_bytes());
        }
        match self.0.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => Wire::Bytes {
                b64: STANDARD.encode(self.0.as_bytes()),
            }
            .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for OsText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return Ok(OsString::from_vec(Vec::deserialize(deserializer)?).into());
        }
        Ok(match Wire::deserialize(deserializer)? {
            Wire::Text(text) => OsString::from(text).into(),
            Wire::Bytes { b64 } => {
                OsString::from_vec(STANDARD.decode(b64).map_err(serde::de::Error::custom)?).into()
            }
        })
    }
}
