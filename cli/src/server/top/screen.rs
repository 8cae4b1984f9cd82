//! Looks on a terminal, one after the other.

use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Style, Stylize};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Paragraph};
use ratatui::{DefaultTerminal, Frame};

use super::sample::{Sample, Sampler};
use super::text;
use crate::error::CliError;
use crate::server::show;

/// Until somebody presses q.
pub(super) fn run(sampler: &mut Sampler<'_>, interval: Duration) -> Result<(), CliError> {
    let mut sample = sampler.sample()?;
    let mut terminal = ratatui::try_init()?;
    let result = show_all(&mut terminal, sampler, &mut sample, interval);
    ratatui::restore();
    result
}

fn show_all(
    terminal: &mut DefaultTerminal,
    sampler: &mut Sampler<'_>,
    sample: &mut Sample,
    interval: Duration,
) -> Result<(), CliError> {
    loop {
        terminal.draw(|frame| draw(frame, sample))?;
        let next = Instant::now() + interval;
        while let Some(left) = next.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if !event::poll(left)? {
                break;
            }
            let event = event::read()?;
            if is_end(&event) {
                return Ok(());
            }
            terminal.draw(|frame| draw(frame, sample))?;
        }
        *sample = sampler.sample()?;
    }
}

fn is_end(event: &Event) -> bool {
    let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) = event else { return false };
    match code {
        KeyCode::Char('q') | KeyCode::Esc => true,
        KeyCode::Char('c') => modifiers.contains(KeyModifiers::CONTROL),
        _ => false,
    }
}

fn draw(frame: &mut Frame<'_>, sample: &Sample) {
    let rows = Layout::vertical([
        Constraint::Length(4),
        Constraint::Fill(1),
        Constraint::Fill(1),
        Constraint::Length(1),
    ]);
    let [head, sessions, waiting, foot] = rows.areas(frame.area());
    frame.render_widget(Paragraph::new(text::head(sample).map(Line::from).to_vec()), head);
    let titled = |title: String| Block::new().title(Line::from(title).style(Style::new().bold()));
    let of_sessions = show::sessions(&sample.sessions).to_string();
    let title = titled("sessions with the most locks".into());
    frame.render_widget(Paragraph::new(Text::from(of_sessions)).block(title), sessions);
    let of_locks =
        if sample.waiting.is_empty() { String::new() } else { show::locks(&sample.waiting).to_string() };
    let title = titled(text::waiting_title(sample));
    frame.render_widget(Paragraph::new(Text::from(of_locks)).block(title), waiting);
    frame.render_widget(Line::from("q ends").dim(), foot);
}
