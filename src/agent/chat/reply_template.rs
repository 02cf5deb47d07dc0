//! Template of automatic replies to plain text.
//!
//! Not the decision whether a text is answered, which is in [`plain`](super::plain). Invariant: a reply has text of its own,
//! by which it is recognised.

use std::fmt;

/// Template of a reply: literal text around the received text, as in `OK...{text}`.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct ReplyTemplate {
    before: String,
    /// `None` if the reply does not repeat the text.
    after: Option<String>,
}

/// Error: a template without text of its own. Its replies could not be distinguished from the texts
/// that they answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BareTemplate;

impl fmt::Display for BareTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a reply needs text of its own beside {text}, as in 'OK...{text}', \
             so that replies are not answered in turn",
        )
    }
}

impl std::error::Error for BareTemplate {}

impl std::str::FromStr for ReplyTemplate {
    type Err = BareTemplate;

    fn from_str(template: &str) -> Result<Self, BareTemplate> {
        let (before, after) = match template.split_once("{text}") {
            Some((before, after)) => (before, Some(after)),
            None => (template, None),
        };
        if before.trim().is_empty() && after.is_none_or(|after| after.trim().is_empty()) {
            return Err(BareTemplate);
        }
        Ok(Self {
            before: before.to_owned(),
            after: after.map(str::to_owned),
        })
    }
}

impl ReplyTemplate {
    /// Returns true if `text` may be a reply by this template, or a reply that quotes one.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        let Some(start) = find(text, self.before.as_bytes()) else {
            return false;
        };
        let rest = &text[start + self.before.len()..];
        let after = self.after.as_deref().unwrap_or_default();
        find(rest, after.as_bytes()).is_some()
    }

    /// Returns the reply to a text.
    pub(super) fn fill(&self, text: &[u8]) -> Vec<u8> {
        let mut reply = self.before.clone().into_bytes();
        if let Some(after) = &self.after {
            reply.extend_from_slice(text);
            reply.extend_from_slice(after.as_bytes());
        }
        reply
    }
}

fn find(text: &[u8], pattern: &[u8]) -> Option<usize> {
    if pattern.is_empty() {
        return Some(0);
    }
    text.windows(pattern.len()).position(|part| part == pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_template_needs_text_of_its_own() {
        for bare in ["", "{text}", "  {text}\t"] {
            assert_eq!(bare.parse::<ReplyTemplate>(), Err(BareTemplate));
        }
        for template in ["OK", "OK...{text}", "{text}!", "<{text}>"] {
            assert!(template.parse::<ReplyTemplate>().is_ok());
        }
    }
}
