//! The modules of the crate, read from its tokens: what each defines, imports and mentions.
//!
//! Not name resolution (`resolve`). Macros are not expanded; the paths in their arguments are read.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::source::{Sources, inline};

/// Path of a module, or of an item, from the root of the crate.
pub type Path = Vec<String>;

/// A module and the file that it stands in.
#[derive(Debug, Default)]
pub struct Module {
    pub file: String,
    /// Compiled for tests only.
    pub test: bool,
    /// Names of the items defined here.
    pub items: BTreeSet<String>,
    /// Names that `use` binds here, with the paths as written.
    pub bindings: BTreeMap<String, Vec<Path>>,
    /// Modules imported by `*`.
    pub globs: Vec<Path>,
    /// Paths that the code names, in `use` or in line.
    pub mentions: Vec<Mention>,
}

/// A path as a module writes it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mention {
    pub path: Path,
    /// True if only test code says it.
    pub test: bool,
}

/// All modules of a crate.
pub type Modules = BTreeMap<Path, Module>;

/// Reads the modules that `lib.rs` declares, directly or not.
pub fn read(sources: &Sources) -> Modules {
    let mut modules = Modules::new();
    let mut open = vec![(Path::new(), "lib.rs".to_owned(), false)];
    while let Some((path, file, test)) = open.pop() {
        let text = &sources[&file];
        let tokens = TokenStream::from_str(text).unwrap_or_else(|e| panic!("{file}: {e}"));
        let mut reader = Reader {
            sources,
            modules: &mut modules,
            open: &mut open,
            file,
        };
        reader.module(&path, tokens, test);
    }
    modules
}

/// Reads one file.
struct Reader<'a> {
    sources: &'a Sources,
    modules: &'a mut Modules,
    /// Modules in files of their own that are still to be read.
    open: &'a mut Vec<(Path, String, bool)>,
    file: String,
}

impl Reader<'_> {
    fn module(&mut self, path: &Path, tokens: TokenStream, test: bool) {
        let module = self.modules.entry(path.clone()).or_default();
        module.file.clone_from(&self.file);
        module.test = test;
        self.tokens(path, &trees(tokens), test, true);
    }

    /// Reads tokens in the scope of a module; `outside` is true outside of all items.
    fn tokens(&mut self, module: &Path, mut tokens: &[TokenTree], test: bool, outside: bool) {
        while let Some(token) = tokens.first() {
            let used = match token {
                TokenTree::Punct(hash) if hash.as_char() == '#' => {
                    self.attribute(module, tokens, test, outside)
                }
                TokenTree::Group(group) => {
                    self.tokens(module, &trees(group.stream()), test, false);
                    1
                }
                TokenTree::Ident(_) => self.word(module, tokens, test, outside),
                // The name after `::` at the beginning of a path is another crate's.
                TokenTree::Punct(_) if is_separator(tokens) => 3,
                TokenTree::Punct(_) | TokenTree::Literal(_) => 1,
            };
            tokens = tokens.get(used..).unwrap_or_default();
        }
    }

    /// Reads an attribute and, if it compiles an item for tests only, that item.
    fn attribute(
        &mut self,
        module: &Path,
        tokens: &[TokenTree],
        test: bool,
        outside: bool,
    ) -> usize {
        let Some(TokenTree::Group(attribute)) = tokens.get(1) else {
            return 1;
        };
        self.tokens(module, &trees(attribute.stream()), test, false);
        if !is_test_only(attribute) {
            return 2;
        }
        let item = item_length(&tokens[2..]);
        self.tokens(module, &tokens[2..2 + item], true, outside);
        2 + item
    }

    /// Reads a declaration or a path, which begins with a word.
    fn word(&mut self, module: &Path, tokens: &[TokenTree], test: bool, outside: bool) -> usize {
        let first = text(tokens.first());
        let second = text(tokens.get(1));
        match first.as_str() {
            "use" if second != "<" => {
                let end = position(tokens, |token| is_punct(token, ';'));
                self.import(module, &Path::new(), &tokens[1..end], test);
                return end + 1;
            }
            "mod" if outside => return self.child(module, &second, tokens, test),
            "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union"
                if outside =>
            {
                self.define(module, second);
                return if text(tokens.get(1)) == "fn" { 1 } else { 2 };
            }
            "macro_rules" if outside => self.define(module, text(tokens.get(2))),
            _ => {}
        }
        let mut path = vec![first];
        let mut used = 1;
        while is_separator(&tokens[used..])
            && let Some(TokenTree::Ident(word)) = tokens.get(used + 2)
        {
            path.push(word.to_string());
            used += 3;
        }
        if path.len() > 1 {
            self.mention(module, path, test);
        }
        used
    }

    /// Reads `mod NAME;` or `mod NAME { … }`.
    fn child(&mut self, module: &Path, name: &str, tokens: &[TokenTree], test: bool) -> usize {
        let path = [module.as_slice(), &[name.to_owned()]].concat();
        if let Some(TokenTree::Group(body)) = tokens.get(2) {
            self.module(&path, body.stream(), test);
            return 3;
        }
        let stem = path.join("/");
        let files = [format!("{stem}.rs"), format!("{stem}/mod.rs")];
        let file = files
            .into_iter()
            .find(|file| self.sources.contains_key(file));
        let file = file.unwrap_or_else(|| panic!("{stem} has a file"));
        self.open.push((path, file, test));
        2
    }

    fn define(&mut self, module: &Path, name: String) {
        let module = self
            .modules
            .get_mut(module)
            .expect("entered before it is read");
        module.items.insert(name);
    }

    fn mention(&mut self, module: &Path, path: Path, test: bool) {
        let module = self
            .modules
            .get_mut(module)
            .expect("entered before it is read");
        module.mentions.push(Mention { path, test });
    }

    /// Reads the tree of a `use`, whose paths all begin with `prefix`.
    fn import(&mut self, module: &Path, prefix: &Path, tree: &[TokenTree], test: bool) {
        let mut path = prefix.clone();
        let mut alias = None;
        let mut rest = tree;
        while let Some(token) = rest.first() {
            match token {
                TokenTree::Group(group) => {
                    for member in trees(group.stream()).split(|token| is_punct(token, ',')) {
                        self.import(module, &path, member, test);
                    }
                    return;
                }
                TokenTree::Punct(star) if star.as_char() == '*' => {
                    let own = self
                        .modules
                        .get_mut(module)
                        .expect("entered before it is read");
                    own.globs.push(path.clone());
                    self.mention(module, path, test);
                    return;
                }
                TokenTree::Ident(word) if word == "as" => {
                    alias = Some(text(rest.get(1)));
                    break;
                }
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            rest = &rest[1..];
        }
        if path.last().is_some_and(|word| word == "self") && path.len() > 1 {
            path.pop();
        }
        let Some(name) = alias.or_else(|| path.last().cloned()) else {
            return;
        };
        let own = self
            .modules
            .get_mut(module)
            .expect("entered before it is read");
        own.bindings.entry(name).or_default().push(path.clone());
        self.mention(module, path, test);
    }
}

fn trees(tokens: TokenStream) -> Vec<TokenTree> {
    tokens.into_iter().collect()
}

fn text(token: Option<&TokenTree>) -> String {
    token.map(ToString::to_string).unwrap_or_default()
}

fn is_punct(token: &TokenTree, char: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == char)
}

fn is_separator(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [first, second, ..] if is_punct(first, ':') && is_punct(second, ':'))
}

/// Index of the first token of a kind, or the number of tokens.
fn position(tokens: &[TokenTree], kind: impl Fn(&TokenTree) -> bool) -> usize {
    tokens.iter().position(kind).unwrap_or(tokens.len())
}

/// True for `#[cfg(test)]`, also as one of several conditions.
fn is_test_only(attribute: &Group) -> bool {
    let written = attribute.stream().to_string().replace(' ', "");
    written.starts_with("cfg(test") || written.starts_with("cfg(all(test,")
}

/// Number of tokens up to the end of the item that stands first, its other attributes included.
fn item_length(tokens: &[TokenTree]) -> usize {
    let words = || tokens.iter().map(ToString::to_string);
    let declares = |word: &str| matches!(word, "use" | "let" | "static" | "type");
    let has_value = words().find(|word| {
        declares(word)
            || matches!(
                word.as_str(),
                "fn" | "impl" | "mod" | "struct" | "enum" | "trait"
            )
    });
    let to_semicolon = has_value.is_some_and(|word| declares(&word));
    let end = position(tokens, |token| match token {
        TokenTree::Group(group) => !to_semicolon && group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    });
    (end + 1).min(tokens.len())
}

#[test]
fn definitions_imports_and_inline_paths_are_read() {
    let text = "mod b { pub fn inner() {} }\n\
                use crate::{net::{self, Net as Network}, wire};\n\
                // crate::comment::is_no_code\n\
                pub const MAX: u8 = super::limits::MAX;\n\
                fn f() -> Vec<crate::time::Instant> { assert!(\"crate::x\", b::inner()); ::std::x() }\n\
                #[cfg(test)] use crate::rng::{Rng, *};\n\
                #[cfg(test)] mod tests { use super::*; }\n";
    let modules = read(&inline(&[("lib.rs", text)]));
    let root = &modules[&Path::new()];
    let said = |test| {
        let mentions = root
            .mentions
            .iter()
            .filter(move |mention| mention.test == test);
        mentions
            .map(|mention| mention.path.join("::"))
            .collect::<Vec<_>>()
    };
    let expected = [
        "crate::net",
        "crate::net::Net",
        "crate::wire",
        "super::limits::MAX",
        "crate::time::Instant",
        "b::inner",
    ];
    assert_eq!(said(false), expected);
    assert_eq!(said(true), ["crate::rng::Rng", "crate::rng"]);
    assert_eq!(Vec::from_iter(&root.items), ["MAX", "f"]);
    assert_eq!(root.bindings["Network"], [["crate", "net", "Net"]]);
    assert!(modules[&vec!["tests".to_owned()]].test);
    assert!(modules[&vec!["b".to_owned()]].items.contains("inner"));
}
