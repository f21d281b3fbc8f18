//! A pair of versions that grows: blocks of other code go between its own, the same ones into both versions.

use std::collections::BTreeMap;
use std::ops::Range;

use super::draw::{Draw, mix};
use super::template::Template;

/// Where a block stands: its indentation and how many brackets are open. A block fits where another of its place stood.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    indentation: String,
    depth: i32,
}

/// A run of lines without a blank one.
#[derive(Debug, Clone)]
struct Block {
    text: Template,
    place: Place,
}

/// A pair that is a record's core: blocks both versions begin with, what differs, blocks both end with.
#[derive(Debug, Clone)]
pub struct Seed {
    head: Vec<Block>,
    vulnerable: Option<Block>,
    secure: Option<Block>,
    tail: Vec<Block>,
    bytes: usize,
}

/// A pair's text and where its versions differ, in bytes.
#[derive(Debug, Default)]
pub struct Rendered {
    /// The vulnerable version.
    pub vulnerable: String,
    /// The fixed version.
    pub secure: String,
    /// What the fixed version has not.
    pub removed: Range<usize>,
    /// What the vulnerable version has not.
    pub added: Range<usize>,
}

/// Blocks to put in, by the place they fit.
#[derive(Debug, Default)]
pub struct Fillers(BTreeMap<Place, Vec<Template>>);

/// How texts are to look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shape {
    /// Bytes wanted; a text grows to about that and never shrinks.
    pub bytes: usize,
    /// Blank lines hold one space, as BigVul's do.
    pub has_spaces: bool,
    /// Lines end in CRLF.
    pub has_carriage_returns: bool,
}

impl Seed {
    /// Cuts a pair into blocks; `None` where both versions are the same, or one has no code.
    pub fn new(vulnerable: &str, secure: &str) -> Option<Seed> {
        if vulnerable.trim().is_empty() || secure.trim().is_empty() {
            return None;
        }
        let [vulnerable, secure] = [vulnerable, secure].map(|text| blocks(&text.replace('\r', "")));
        let same = |pair: &(&(String, Place), &(String, Place))| pair.0.0 == pair.1.0;
        let head = vulnerable.iter().zip(&secure).take_while(same).count();
        let most = vulnerable.len().min(secure.len()) - head;
        let tail = vulnerable.iter().rev().zip(secure.iter().rev()).take(most).take_while(same).count();
        let differing = |blocks: &[(String, Place)]| {
            let middle = &blocks[head..blocks.len() - tail];
            let text: Vec<&str> = middle.iter().map(|(text, _)| text.as_str()).collect();
            Some(Block { text: Template::new(&text.join("\n\n")), place: middle.first()?.1.clone() })
        };
        let whole = |blocks: &[(String, Place)]| -> Vec<Block> {
            blocks.iter().map(|(text, place)| Block { text: Template::new(text), place: place.clone() }).collect()
        };
        let seed = Seed {
            bytes: vulnerable.iter().map(|(text, _)| text.len() + 2).sum(),
            head: whole(&vulnerable[..head]),
            tail: whole(&vulnerable[vulnerable.len() - tail..]),
            vulnerable: differing(&vulnerable),
            secure: differing(&secure),
        };
        (seed.vulnerable.is_some() || seed.secure.is_some()).then_some(seed)
    }

    /// Returns the bytes of the vulnerable version before it grows.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes both versions over `out`, grown to about the wanted size.
    pub fn render(&self, fillers: &Fillers, shape: Shape, draw: &mut Draw, out: &mut Rendered) {
        let salt = draw.bits();
        let chosen = self.choose(fillers, shape.bytes, draw);
        let mut chosen = chosen.iter().peekable();
        let separator = if shape.has_spaces { "\n \n" } else { "\n\n" };
        let mut fill = |gap: usize, text: &mut String| {
            while let Some((_, filler, salt)) = chosen.next_if(|(at, _, _)| *at == gap) {
                filler.render(*salt, text);
                text.push_str(separator);
            }
        };
        let Rendered { vulnerable, secure, removed, added } = out;
        vulnerable.clear();
        secure.clear();
        for (gap, block) in self.head.iter().enumerate() {
            fill(gap, vulnerable);
            block.text.render(salt, vulnerable);
            vulnerable.push_str(separator);
        }
        fill(self.head.len(), vulnerable);
        secure.push_str(vulnerable);
        for (block, text, range) in
            [(&self.vulnerable, &mut *vulnerable, &mut *removed), (&self.secure, &mut *secure, &mut *added)]
        {
            let start = text.len();
            if let Some(block) = block {
                block.text.render(salt, text);
                text.push_str(separator);
            }
            *range = start..text.len();
        }
        let tail_start = vulnerable.len();
        for (position, block) in self.tail.iter().enumerate() {
            fill(self.head.len() + 1 + position, vulnerable);
            block.text.render(salt, vulnerable);
            vulnerable.push_str(separator);
        }
        secure.push_str(&vulnerable[tail_start..]);
        for (text, range) in [(vulnerable, removed), (secure, added)] {
            text.truncate(text.len().saturating_sub(separator.len()));
            *range = range.start.min(text.len())..range.end.min(text.len());
        }
        if shape.has_carriage_returns {
            *out = out.with_carriage_returns();
        }
    }

    /// Chooses fillers, each with the gap it goes into: before a block of the head, the difference, or a block of the tail.
    fn choose<'fillers>(
        &self,
        fillers: &'fillers Fillers,
        bytes: usize,
        draw: &mut Draw,
    ) -> Vec<(usize, &'fillers Template, u64)> {
        let head = self.head.iter().enumerate().skip(1);
        let middle = self.vulnerable.iter().filter(|_| !self.head.is_empty()).map(|block| (self.head.len(), block));
        let tail = self.tail.iter().enumerate().map(|(position, block)| (self.head.len() + 1 + position, block));
        let gaps: Vec<(usize, &[Template])> = (head.chain(middle).chain(tail))
            .filter_map(|(gap, block)| Some((gap, fillers.0.get(&block.place)?.as_slice())))
            .collect();
        let mut chosen = Vec::new();
        let mut missing = bytes.saturating_sub(self.bytes);
        while missing > 0 && !gaps.is_empty() {
            let (gap, fitting) = *draw.pick(&gaps);
            let filler = draw.pick(fitting);
            missing = missing.saturating_sub(filler.bytes() + 2);
            chosen.push((gap, filler, mix(draw.bits())));
        }
        chosen.sort_by_key(|(gap, _, _)| *gap);
        chosen
    }
}

impl Rendered {
    /// Returns the lines that only one version has: the number of lines before them, those removed, those added.
    pub fn changed_lines(&self) -> (usize, Vec<&str>, Vec<&str>) {
        let removed: Vec<&str> = self.vulnerable[self.removed.clone()].split_inclusive('\n').collect();
        let added: Vec<&str> = self.secure[self.added.clone()].split_inclusive('\n').collect();
        let same = |pair: &(&&str, &&str)| pair.0 == pair.1;
        let start = removed.iter().zip(&added).take_while(same).count();
        let most = removed.len().min(added.len()) - start;
        let end = removed.iter().rev().zip(added.iter().rev()).take(most).take_while(same).count();
        let before = self.vulnerable[..self.removed.start].matches('\n').count() + start;
        (before, removed[start..removed.len() - end].to_vec(), added[start..added.len() - end].to_vec())
    }

    /// Appends the difference as a unified diff without context.
    pub fn push_patch(&self, out: &mut String) {
        use std::fmt::Write;
        let (before, removed, added) = self.changed_lines();
        let line = before + 1;
        // Writing to a string cannot fail.
        let _ = writeln!(out, "@@ -{line},{} +{line},{} @@", removed.len(), added.len());
        for (sign, lines) in [('-', removed), ('+', added)] {
            for line in lines {
                out.push(sign);
                out.push_str(line.trim_end_matches(['\r', '\n']));
                out.push('\n');
            }
        }
    }

    fn with_carriage_returns(&self) -> Rendered {
        let convert = |text: &str| text.replace('\n', "\r\n");
        let range = |text: &str, range: &Range<usize>| {
            let start = convert(&text[..range.start]).len();
            start..start + convert(&text[range.clone()]).len()
        };
        Rendered {
            vulnerable: convert(&self.vulnerable),
            secure: convert(&self.secure),
            removed: range(&self.vulnerable, &self.removed),
            added: range(&self.secure, &self.added),
        }
    }
}

impl Fillers {
    /// Adds the blocks inside of a text that leave no bracket open.
    pub fn add_inner_blocks(&mut self, text: &str) {
        let blocks = blocks(&text.replace('\r', ""));
        for (text, place) in blocks.iter().take(blocks.len().saturating_sub(1)).skip(1) {
            if is_balanced(text) {
                self.0.entry(place.clone()).or_default().push(Template::new(text));
            }
        }
    }

    /// Adds a whole text, to go between others of its kind at the outermost level.
    pub fn add_whole(&mut self, text: &str) {
        if is_balanced(text) {
            let place = Place { indentation: String::new(), depth: 0 };
            self.0.entry(place).or_default().push(Template::new(text.trim_end()));
        }
    }
}

/// Cuts a text at its blank lines; each block with the place it stands at.
fn blocks(text: &str) -> Vec<(String, Place)> {
    let mut found: Vec<(String, Place)> = Vec::new();
    let mut depth = 0;
    let mut is_open = false;
    for line in text.lines() {
        if line.trim().is_empty() {
            is_open = false;
            continue;
        }
        match found.last_mut().filter(|_| is_open) {
            Some((block, _)) => {
                block.push('\n');
                block.push_str(line);
            }
            None => {
                let indentation = line[..line.len() - line.trim_start().len()].to_owned();
                found.push((line.to_owned(), Place { indentation, depth }));
                is_open = true;
            }
        }
        depth += steps(line).sum::<i32>();
    }
    found
}

fn is_balanced(text: &str) -> bool {
    let mut depth = 0;
    let is_never_negative = steps(text).all(|step| {
        depth += step;
        depth >= 0
    });
    is_never_negative && depth == 0
}

fn steps(text: &str) -> impl Iterator<Item = i32> {
    text.bytes().map(|byte| match byte {
        b'(' | b'[' | b'{' => 1,
        b')' | b']' | b'}' => -1,
        _ => 0,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const BEFORE: &str = "int f(int a)\n{\n    int b = a;\n\n    use(b);\n\n    return b;\n}";
    const AFTER: &str = "int f(int a)\n{\n    int b = a;\n\n    if (b > 0)\n        use(b);\n\n    return b;\n}";

    #[test]
    fn a_seed_that_need_not_grow_is_its_pair() {
        let mut out = Rendered::default();
        let seed = Seed::new(BEFORE, AFTER).unwrap();
        seed.render(&Fillers::default(), Shape::default(), &mut Draw::new(1, 1), &mut out);
        assert_eq!((out.vulnerable.as_str(), out.secure.as_str()), (BEFORE, AFTER));
        let (before, removed, added) = out.changed_lines();
        assert_eq!(before, 4);
        assert_eq!(removed, ["    use(b);\n"]);
        assert_eq!(added, ["    if (b > 0)\n", "        use(b);\n"]);
    }

    #[test]
    fn both_versions_grow_by_the_same_blocks() {
        let mut fillers = Fillers::default();
        fillers
            .add_inner_blocks("void g(void)\n{\n    first();\n\n    while (1)\n        second(3);\n\n    third();\n}");
        let seed = Seed::new(BEFORE, AFTER).unwrap();
        let mut out = Rendered::default();
        for number in 0..50 {
            let shape = Shape { bytes: 400, has_carriage_returns: number % 2 == 0, has_spaces: number % 3 == 0 };
            seed.render(&fillers, shape, &mut Draw::new(1, number), &mut out);
            assert!((350..600).contains(&out.vulnerable.len()), "{}", out.vulnerable);
            let rest = |text: &str, range: &Range<usize>| format!("{}{}", &text[..range.start], &text[range.end..]);
            assert_eq!(rest(&out.vulnerable, &out.removed), rest(&out.secure, &out.added));
        }
    }

    #[test]
    fn equal_versions_and_one_version_alone_are_no_seed() {
        assert!(Seed::new(BEFORE, BEFORE).is_none());
        assert!(Seed::new("", AFTER).is_none());
    }
}
