//! Values of YAML and JSON, with their lines.
//!
//! Not their meaning. Invariant: a tree has at most [`limits::INVENTORY_NODES`] nodes, also if aliases repeat them.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::control::limits;

/// A value, with its line if that is known.
#[derive(Clone, Debug)]
pub struct Node {
    pub line: Option<usize>,
    pub value: Value,
}

/// Null, text (also that of a number), a list, or names with their values.
#[derive(Clone, Debug)]
pub enum Value {
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Returns a sentence with the line.
    pub fn tell(&self, words: &str) -> String {
        match self.line {
            Some(line) => format!("line {line}: {words}"),
            None => words.to_owned(),
        }
    }

    /// Returns the value of a name.
    pub fn of(&self, name: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(pairs) => pairs
                .iter()
                .rev()
                .find(|(key, _)| key == name)
                .map(|(_, node)| node),
            Value::Null | Value::Text(_) | Value::List(_) => None,
        }
    }

    /// Returns the names with their values; null has none.
    ///
    /// # Errors
    /// A sentence: it is something else.
    pub fn pairs(&self, what: &str) -> Result<&[(String, Self)], String> {
        match &self.value {
            Value::Null => Ok(&[]),
            Value::Map(pairs) => Ok(pairs),
            Value::Text(_) | Value::List(_) => Err(self.tell(&format!("{what}: not a mapping"))),
        }
    }

    /// Returns the number of values, long texts counted by their lengths: a copy takes as much memory.
    fn count(&self) -> usize {
        let long = |text: &str| text.len() / size_of::<Self>();
        1 + match &self.value {
            Value::Null => 0,
            Value::Text(text) => long(text),
            Value::List(nodes) => nodes.iter().map(Self::count).sum(),
            Value::Map(pairs) => pairs
                .iter()
                .map(|(name, node)| long(name) + node.count())
                .sum(),
        }
    }
}

/// Parses JSON.
///
/// # Errors
/// A sentence.
pub fn of_json(text: &str) -> Result<Node, String> {
    fn node(value: serde_json::Value) -> Node {
        use serde_json::Value as Json;
        let value = match value {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Text(value.to_string()),
            Json::Number(number) => Value::Text(number.to_string()),
            Json::String(text) => Value::Text(text),
            Json::Array(values) => Value::List(values.into_iter().map(node).collect()),
            Json::Object(map) => Value::Map(
                map.into_iter()
                    .map(|(name, value)| (name, node(value)))
                    .collect(),
            ),
        };
        Node { line: None, value }
    }
    let value = serde_json::from_str(text).map_err(|error| format!("JSON: {error}"))?;
    Ok(node(value))
}

/// List or mapping that is being read.
struct Open {
    anchor: usize,
    node: Node,
    /// Name whose value comes next, in a mapping.
    name: Option<String>,
}

/// Document of YAML that is being read.
#[derive(Default)]
struct Document {
    anchors: HashMap<usize, Node>,
    open: Vec<Open>,
    root: Option<Node>,
    /// Number of nodes.
    count: usize,
}

/// Parses one document of YAML; an empty one is null.
///
/// # Errors
/// A sentence with the line.
pub fn of_yaml(text: &str) -> Result<Node, String> {
    let mut document = Document::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let line = error.marker().line();
            format!("line {line}: {}", error.info())
        })?;
        document.read(event, span.start.line())?;
    }
    Ok(document.root.unwrap_or(Node {
        line: None,
        value: Value::Null,
    }))
}

impl Document {
    fn read(&mut self, event: Event, line: usize) -> Result<(), String> {
        let at_line = |words: &str| format!("line {line}: {words}");
        let node = |value| Node {
            line: Some(line),
            value,
        };
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(at_line("a second document begins"))
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::SequenceStart(anchor, _) => self.open(anchor, node(Value::List(Vec::new()))),
            Event::MappingStart(anchor, _) => self.open(anchor, node(Value::Map(Vec::new()))),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { anchor, node, .. }) => self.complete(anchor, node),
                None => Ok(()),
            },
            Event::Scalar(text, style, anchor, _) => {
                let is_null = style == ScalarStyle::Plain
                    && ["", "~", "null", "Null", "NULL"].contains(&&*text);
                let value = if is_null {
                    Value::Null
                } else {
                    Value::Text(text.into_owned())
                };
                self.complete(anchor, node(value))
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| at_line("an alias names what contains it"))?;
                self.count += node.count();
                self.complete(0, node)
            }
        }
    }

    /// Begins a list or a mapping.
    fn open(&mut self, anchor: usize, node: Node) -> Result<(), String> {
        if self.open.len() >= limits::INVENTORY_DEPTH {
            return Err(node.tell("it is nested too deeply"));
        }
        self.open.push(Open {
            anchor,
            node,
            name: None,
        });
        Ok(())
    }

    /// Puts a node where it belongs; an anchor of 0 is none.
    fn complete(&mut self, anchor: usize, node: Node) -> Result<(), String> {
        self.count += 1 + if anchor > 0 { node.count() } else { 0 };
        if self.count > limits::INVENTORY_NODES {
            return Err(node.tell("there are too many values"));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        if let Some(outer) = self.open.last_mut() {
            return outer.take(node);
        }
        self.root = Some(node);
        Ok(())
    }
}

impl Open {
    /// Takes an element of the list, or a name or a value of the mapping.
    fn take(&mut self, node: Node) -> Result<(), String> {
        match (&mut self.node.value, self.name.take()) {
            (Value::List(nodes), _) => nodes.push(node),
            (Value::Map(pairs), Some(name)) if name == "<<" => merge(pairs, node),
            (Value::Map(pairs), Some(name)) => pairs.push((name, node)),
            (Value::Map(_), None) => {
                self.name = Some(match node.value {
                    Value::Text(name) => name,
                    Value::Null => String::new(),
                    Value::List(_) | Value::Map(_) => return Err(node.tell("a name is expected")),
                });
            }
            (Value::Null | Value::Text(_), _) => {}
        }
        Ok(())
    }
}

/// Adds the pairs of `<<`, which count less than those of the mapping itself.
fn merge(pairs: &mut Vec<(String, Node)>, node: Node) {
    match node.value {
        Value::Map(others) => pairs.splice(0..0, others).for_each(drop),
        Value::List(nodes) => nodes.into_iter().for_each(|node| merge(pairs, node)),
        Value::Null | Value::Text(_) => {}
    }
}
