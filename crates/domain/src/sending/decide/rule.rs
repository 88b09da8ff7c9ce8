//! The rules that hold or skip a contact. Their texts are stored as reasons.

use crate::Language;

text_enum! {
    /// The reason why a contact is not sent now.
    pub enum Rule ("rule") {
        /// The contact or its queue is final.
        AlreadyFinal = "already_final",
        /// An attempt is under way.
        AlreadySending = "already_sending",
        /// The queue is cancelled.
        QueueCancelled = "queue_cancelled",
        /// The contact has used all its attempts.
        AttemptsUsedUp = "attempts_used_up",
        /// The tenant is suspended.
        TenantSuspended = "tenant_suspended",
        /// The queue is paused.
        QueuePaused = "queue_paused",
        /// The queue's `scheduled_for` has not passed.
        QueueScheduled = "queue_scheduled",
        /// Closed hours or a holiday.
        BusinessHours = "business_hours",
        /// The instance is not connected.
        InstanceDown = "instance_down",
        /// The contact is not due.
        NotDue = "not_due",
        /// The instance has reached its daily cap.
        DailyCap = "daily_cap",
        /// The instance's next slot has not come.
        Pacing = "pacing",
    }
}

impl Rule {
    /// The explanation for people.
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
