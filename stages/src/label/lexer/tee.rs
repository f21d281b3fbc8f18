//! One scan for two listeners: one that must stay causal, one that wants the whole text.

use super::{LineEnd, Role, Sink, StatementKind};

/// Passes a complete scan on to both sinks, and to the first only what a causal scan would report.
pub(crate) struct Tee<'s, C, W> {
    causal: &'s mut C,
    whole: &'s mut W,
    text_ended: bool,
}

impl<'s, C: Sink, W: Sink> Tee<'s, C, W> {
    pub(crate) fn new(causal: &'s mut C, whole: &'s mut W) -> Self {
        Tee { causal, whole, text_ended: false }
    }

    #[inline]
    fn causal(&mut self, report: impl FnOnce(&mut C)) {
        if !self.text_ended {
            report(self.causal);
        }
    }
}

impl<C: Sink, W: Sink> Sink for Tee<'_, C, W> {
    #[inline]
    fn code(&mut self, start: usize, end: usize, role: Role) {
        self.causal(|sink| sink.code(start, end, role));
        self.whole.code(start, end, role);
    }

    fn literal_start(&mut self, start: usize, role: Role) {
        self.causal(|sink| sink.literal_start(start, role));
        self.whole.literal_start(start, role);
    }

    fn literal(&mut self, start: usize, end: usize) {
        self.causal(|sink| sink.literal(start, end));
        self.whole.literal(start, end);
    }

    fn comment_start(&mut self) {
        self.causal(|sink| sink.comment_start());
        self.whole.comment_start();
    }

    fn comment(&mut self, start: usize, end: usize) {
        self.causal(|sink| sink.comment(start, end));
        self.whole.comment(start, end);
    }

    fn statement(&mut self, kind: StatementKind) {
        self.causal(|sink| sink.statement(kind));
        self.whole.statement(kind);
    }

    fn logical_line(&mut self, column: usize) {
        self.causal(|sink| sink.logical_line(column));
        self.whole.logical_line(column);
    }

    fn directive_edge(&mut self) {
        self.causal(|sink| sink.directive_edge());
        self.whole.directive_edge();
    }

    fn definition_opens(&mut self) {
        self.causal(|sink| sink.definition_opens());
        self.whole.definition_opens();
    }

    fn definition_closes(&mut self) {
        self.causal(|sink| sink.definition_closes());
        self.whole.definition_closes();
    }

    fn line(&mut self, line: LineEnd) {
        self.causal(|sink| sink.line(line));
        self.whole.line(line);
    }

    fn text_ends(&mut self) {
        self.text_ended = true;
        self.whole.text_ends();
    }
}
