//! The names of the rules that hold or skip a contact: kept on its row, shown to people.

use std::fmt;
use std::str::FromStr;

use crate::Language;

/// Why a contact is not sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// The contact, or its whole queue, is done with.
    AlreadyFinal,
    /// An attempt is written down and its outcome not known yet.
    AlreadySending,
    /// Its queue was cancelled.
    QueueCancelled,
    /// It had all its attempts.
    AttemptsUsedUp,
    /// The tenant is suspended.
    TenantSuspended,
    /// An operator paused the queue.
    QueuePaused,
    /// The batch asked to begin later.
    QueueScheduled,
    /// Outside business hours, or a holiday.
    BusinessHours,
    /// The WhatsApp number is not connected.
    InstanceDown,
    /// Its next try lies ahead.
    NotDue,
    /// The number has sent what it may send in a day.
    DailyCap,
    /// The number sends only so many a minute.
    Pacing,
}

impl Rule {
    /// All of them, in the order in which they are asked.
    pub const ALL: [Self; 12] = [
        Self::AlreadyFinal,
        Self::AlreadySending,
        Self::QueueCancelled,
        Self::AttemptsUsedUp,
        Self::TenantSuspended,
        Self::QueuePaused,
        Self::QueueScheduled,
        Self::BusinessHours,
        Self::InstanceDown,
        Self::NotDue,
        Self::DailyCap,
        Self::Pacing,
    ];

    /// The name in the API, in tables and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlreadyFinal => "already_final",
            Self::QueueCancelled => "queue_cancelled",
            Self::AlreadySending => "already_sending",
            Self::AttemptsUsedUp => "attempts_used_up",
            Self::TenantSuspended => "tenant_suspended",
            Self::QueuePaused => "queue_paused",
            Self::QueueScheduled => "queue_scheduled",
            Self::BusinessHours => "business_hours",
            Self::InstanceDown => "instance_down",
            Self::NotDue => "not_due",
            Self::DailyCap => "daily_cap",
            Self::Pacing => "pacing",
        }
    }

    /// Why the contact was not sent, and what would change that.
    pub fn explain(self, language: Language) -> String {
        let (portuguese, english) = match self {
            Self::AlreadyFinal => {
                ("O envio deste contato já foi encerrado.", "Sending to this contact has already been concluded.")
            }
            Self::QueueCancelled => {
                ("A fila foi cancelada por um operador.", "The queue was cancelled by an operator.")
            }
            Self::AlreadySending => (
                "Uma tentativa de envio está em andamento; aguarde o resultado.",
                "An attempt to send is under way; wait for its outcome.",
            ),
            Self::AttemptsUsedUp => (
                "Todas as tentativas permitidas foram usadas sem sucesso.",
                "All allowed attempts were used without success.",
            ),
            Self::TenantSuspended => (
                "A conta está suspensa; os envios voltam quando ela for reativada.",
                "The account is suspended; sending goes on when it is active again.",
            ),
            Self::QueuePaused => (
                "A fila está pausada; retome-a para continuar os envios.",
                "The queue is paused; resume it to go on sending.",
            ),
            Self::QueueScheduled => (
                "A fila está agendada e ainda não chegou a hora de começar.",
                "The queue is scheduled and its time has not come yet.",
            ),
            Self::BusinessHours => (
                "Fora do horário comercial ou feriado; os envios voltam na próxima abertura.",
                "Outside business hours or a holiday; sending goes on at the next opening.",
            ),
            Self::InstanceDown => (
                "O número de WhatsApp não está conectado; conecte-o e os envios voltam sozinhos.",
                "The WhatsApp number is not connected; connect it and sending goes on by itself.",
            ),
            Self::NotDue => (
                "A próxima tentativa deste contato está marcada para mais tarde.",
                "The next attempt for this contact is set for later.",
            ),
            Self::DailyCap => (
                "O número atingiu o limite diário de envios; eles voltam amanhã.",
                "The number has reached its daily limit; sending goes on tomorrow.",
            ),
            Self::Pacing => {
                ("O contato aguarda o ritmo de envio do número.", "The contact waits its turn at the number's pace.")
            }
        };
        language.pick(portuguese, english).to_owned()
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown rule {0:?}")]
pub struct UnknownRule(String);

impl FromStr for Rule {
    type Err = UnknownRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|rule| rule.as_str() == text);
        found.ok_or_else(|| UnknownRule(text.to_owned()))
    }
}
