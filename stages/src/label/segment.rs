//! Splits code into steps: rules 1 to 4 of mode `natural`.
//!
//! The splitter hears a causal scan from left to right and writes down a boundary when, and only when, what it has heard
//! proves it; boundaries come in ascending order and are never taken back, and the end of the text proves nothing. So the
//! boundaries of a prefix are the first boundaries of the text: steps are causal by construction. They are blind because
//! only the text is heard, and complete because a step is what lies between two boundaries.
//!
//! What the rules leave open is decided here. A no-op chunk waits with the chunk after it. A boundary before a chunk is
//! held back until the chunk has code that ends no block. Lines are never split: a chunk is cut between lines. A step that
//! is over the limits already is not joined any further. A chunk without any statement end is cut at the last line end
//! once it is four times over a limit, if it holds code.

use super::chunk::Nature;
use super::lexer::{LineEnd, Role, Sink, StatementKind, Tee, scan_causal, scan_complete};
use super::lines::{self, NormalText};
use super::{SegmentOptions, Step};
use crate::language::Language;

/// How many times over a limit a chunk without a statement end is cut anywhere.
const HARD_LIMIT: usize = 4;

/// Splits one code text into steps.
///
/// The steps partition the text byte for byte; the empty text has none. For every prefix of the text, the steps of the
/// prefix are the first steps of the text, but for the prefix's last one. Linear in the length of the text.
pub fn segment(code: &str, language: Language, options: &SegmentOptions) -> Vec<Step> {
    if code.is_empty() {
        return Vec::new();
    }
    let mut splitter = Splitter::new(code, options);
    scan_causal(code, language, &mut splitter);
    splitter.into_steps()
}

/// Splits a text into steps and reads its lines of code, in one scan.
pub(super) fn segment_and_read(code: &str, language: Language, options: &SegmentOptions) -> (Vec<Step>, NormalText) {
    let mut splitter = Splitter::new(code, options);
    let mut reader = lines::Reader::new(code, language);
    scan_complete(code, language, &mut Tee::new(&mut splitter, &mut reader));
    let steps = match code.is_empty() {
        true => Vec::new(),
        false => splitter.into_steps(),
    };
    (steps, reader.finish())
}

/// The start of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    byte: usize,
    /// Lines before it.
    line: u32,
}

impl Mark {
    const START: Mark = Mark { byte: 0, line: 0 };
}

struct Splitter<'c> {
    code: &'c str,
    options: &'c SegmentOptions,
    boundaries: Vec<Mark>,
    /// Where the open step starts.
    step: Mark,
    /// A complete chunk of the open step has code.
    step_has_code: bool,
    /// The last chunk with code only declares.
    joins_next: bool,
    /// A boundary that the chunk being read will decide.
    pending: Option<Mark>,
    /// Where the chunk being read starts, if it started.
    chunk: Mark,
    chunk_has_content: bool,
    /// The chunk up to its last statement end, and since.
    until_end: Nature,
    since_end: Nature,
    statement_end: Option<Mark>,
    /// A definition at the top level has ended within the chunk.
    definition_closed: bool,
    /// A separating line was read and nothing after it.
    gap: bool,
    line: Mark,
    literal_role: Role,
}

impl<'c> Splitter<'c> {
    fn new(code: &'c str, options: &'c SegmentOptions) -> Splitter<'c> {
        Splitter {
            code,
            options,
            boundaries: Vec::new(),
            step: Mark::START,
            step_has_code: false,
            joins_next: false,
            pending: None,
            chunk: Mark::START,
            chunk_has_content: false,
            until_end: Nature::EMPTY,
            since_end: Nature::EMPTY,
            statement_end: None,
            definition_closed: false,
            gap: false,
            line: Mark::START,
            literal_role: Role::Other,
        }
    }

    fn into_steps(self) -> Vec<Step> {
        let open_line = u32::from(self.line.byte < self.code.len());
        let end = Mark { byte: self.code.len(), line: self.line.line + open_line };
        let mut steps = Vec::with_capacity(self.boundaries.len() + 1);
        let mut start = Mark::START;
        for boundary in self.boundaries.into_iter().chain([end]) {
            steps.push(Step { bytes: start.byte..boundary.byte, lines: (start.line + 1, boundary.line) });
            start = boundary;
        }
        steps
    }

    /// Says whether a stretch of the text runs past a limit, or past a multiple of it.
    fn over(&self, from: Mark, to: Mark, times: usize) -> bool {
        let lines = (to.line - from.line) as usize;
        let bytes = to.byte - from.byte;
        lines > (self.options.max_step_lines as usize).saturating_mul(times)
            || bytes > self.options.max_step_bytes.saturating_mul(times)
    }

    /// Notes that something other than white space stands on this line; after a gap it begins a chunk.
    fn touch(&mut self) {
        if self.gap {
            self.gap = false;
            let nature = self.until_end.then(self.since_end);
            self.end_chunk(nature, self.line);
            if !self.chunk_has_content && self.pending == Some(self.chunk) {
                // A cut left nothing but blank lines, which stay with the step before.
                self.pending = None;
            }
            self.since_end = Nature::EMPTY;
            self.start_chunk(self.line);
            self.chunk_has_content = false;
        }
        self.chunk_has_content = true;
    }

    fn start_chunk(&mut self, start: Mark) {
        self.chunk = start;
        self.until_end = Nature::EMPTY;
        self.statement_end = None;
        self.definition_closed = false;
        if self.step_has_code && self.pending.is_none() {
            self.pending = Some(start);
        }
    }

    fn end_chunk(&mut self, nature: Nature, end: Mark) {
        if !nature.has_code() {
            return;
        }
        if self.pending.is_some() {
            let joins = nature.ends_block() || self.is_listed(&self.options.suffix_texts, end);
            if joins {
                self.pending = None;
            } else {
                self.decide();
            }
        }
        self.step_has_code = true;
        self.joins_next = nature.declares() || self.is_listed(&self.options.prefix_texts, end);
    }

    /// Says whether the chunk, up to `end`, is one of the configured texts.
    fn is_listed(&self, texts: &[String], end: Mark) -> bool {
        !texts.is_empty() && {
            let chunk = self.chunk_text(end.byte);
            texts.iter().any(|text| text.trim() == chunk)
        }
    }

    /// Says whether the chunk, up to `end`, may still become one of the configured texts that join the step before.
    fn may_be_listed(&self, end: usize) -> bool {
        let texts = &self.options.suffix_texts;
        !texts.is_empty() && {
            let chunk = self.chunk_text(end);
            texts.iter().any(|text| text.trim().starts_with(chunk))
        }
    }

    fn chunk_text(&self, end: usize) -> &'c str {
        self.code.get(self.chunk.byte..end).unwrap_or("").trim()
    }

    /// Takes the pending boundary, unless the chunk before it belongs to what follows.
    fn decide(&mut self) {
        let Some(boundary) = self.pending.take() else {
            return;
        };
        if !self.joins_next || self.over(self.step, boundary, 1) {
            self.boundaries.push(boundary);
            self.step = boundary;
            self.step_has_code = false;
        }
    }

    /// Decides the pending boundary as soon as the chunk has code that cannot join the step before.
    fn decide_if_proven(&mut self, end: usize) {
        let Some(boundary) = self.pending else { return };
        // Behind the end of a definition another may begin, which would be a chunk of its own: only complete statements tell.
        let nature = match self.definition_closed && self.statement_end.is_some() {
            true => self.until_end,
            false => self.until_end.then(self.since_end),
        };
        if !nature.has_code() {
            return;
        }
        let joins = nature.ends_block() || self.may_be_listed(end);
        if !joins || self.over(self.step, boundary, 1) {
            self.decide();
        }
    }

    fn cut(&mut self, at: Mark) {
        self.end_chunk(self.until_end, at);
        self.start_chunk(at);
        self.chunk_has_content = at.byte < self.line.byte || !self.since_end.is_empty();
        self.decide_if_proven(self.line.byte);
    }

    fn mark_statement_end(&mut self) {
        self.until_end = self.until_end.then(self.since_end);
        self.since_end = Nature::EMPTY;
        self.statement_end = Some(self.line);
        self.decide_if_proven(self.line.byte);
    }
}

impl Sink for Splitter<'_> {
    fn code(&mut self, _start: usize, end: usize, role: Role) {
        self.touch();
        self.since_end.code(role);
        if self.pending.is_some() {
            self.decide_if_proven(end);
        }
    }

    fn literal_start(&mut self, start: usize, role: Role) {
        self.literal_role = role;
        self.code(start, start, role);
    }

    fn literal(&mut self, start: usize, end: usize) {
        // Again for each line, so that what a cut leaves of a literal is code too.
        if start < end {
            self.code(start, end, self.literal_role);
        }
    }

    fn comment_start(&mut self) {
        self.touch();
    }

    fn statement(&mut self, kind: StatementKind) {
        self.since_end.statement(kind);
    }

    fn definition_opens(&mut self) {
        if self.definition_closed
            && let Some(end) = self.statement_end
        {
            self.cut(end);
        }
    }

    fn definition_closes(&mut self) {
        self.definition_closed = true;
    }

    fn line(&mut self, line: LineEnd) {
        self.line = Mark { byte: line.end, line: self.line.line + 1 };
        if line.separates {
            self.gap = true;
        }
        if self.gap {
            return;
        }
        if self.over(self.chunk, self.line, 1)
            && let Some(end) = self.statement_end
        {
            self.cut(end);
        }
        if line.statement_end {
            self.mark_statement_end();
            if self.over(self.chunk, self.line, 1) {
                self.cut(self.line);
            }
        } else if self.over(self.chunk, self.line, HARD_LIMIT) && self.until_end.then(self.since_end).has_code() {
            self.mark_statement_end();
            self.cut(self.line);
        }
    }
}
