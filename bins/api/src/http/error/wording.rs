//! The usual texts of problem documents, in both languages. A handler may give a more specific detail.

use regua_domain::Language;

use super::Code;

impl Code {
    pub(super) fn title(self, language: Language) -> &'static str {
        let (portuguese, english) = self.titles();
        language.pick(portuguese, english)
    }

    pub(super) fn usual_detail(self, language: Language) -> &'static str {
        let (portuguese, english) = self.details();
        language.pick(portuguese, english)
    }

    /// The detail of `unavailable` when the API is overloaded.
    pub(super) fn busy_detail(language: Language) -> &'static str {
        language.pick(
            "O serviço está ocupado demais neste momento. Repita daqui a um segundo: nada foi aceito.",
            "The service is overloaded at the moment. Repeat in a second: nothing was accepted.",
        )
    }

    const fn titles(self) -> (&'static str, &'static str) {
        match self {
            Self::MalformedJson => ("JSON malformado", "Malformed JSON"),
            Self::ApiKeyMissing => ("Chave de API ausente", "API key missing"),
            Self::ApiKeyInvalid => ("Chave de API inválida", "API key invalid"),
            Self::ApiKeyInactive => ("Chave de API inativa", "API key inactive"),
            Self::ApiKeyExpired => ("Chave de API expirada", "API key expired"),
            Self::QuotaExceeded => ("Limite do plano atingido", "Quota exceeded"),
            Self::NotAuthenticated => ("Não autenticado", "Not authenticated"),
            Self::LoginFailed => ("Login recusado", "Login refused"),
            Self::TotpRequired => ("Código de verificação necessário", "Verification code required"),
            Self::TokenInvalid => ("Token inválido", "Token invalid"),
            Self::Forbidden => ("Ação não permitida", "Forbidden"),
            Self::CrossSite => ("Requisição de outro site", "Cross-site request"),
            Self::NameTaken => ("Nome já usado", "Name taken"),
            Self::InUse => ("Em uso", "In use"),
            Self::WebhookSecretInvalid => ("Segredo do webhook inválido", "Webhook secret invalid"),
            Self::IpNotAllowed => ("Endereço IP não autorizado", "IP address not allowed"),
            Self::TemplateTypeNotAllowed => ("Tipo de mensagem não autorizado", "Message type not allowed"),
            Self::NotFound => ("Não encontrado", "Not found"),
            Self::MethodNotAllowed => ("Método não permitido", "Method not allowed"),
            Self::BodyTimeout => ("Corpo incompleto", "Incomplete body"),
            Self::BatchConflict => {
                ("Lote já recebido com outro conteúdo", "Batch already accepted with other contents")
            }
            Self::StateConflict => ("Ação não permitida neste estado", "Action not allowed in this state"),
            Self::BodyTooLarge => ("Corpo grande demais", "Body too large"),
            Self::UnsupportedMediaType => ("Tipo de conteúdo não aceito", "Unsupported media type"),
            Self::ValidationFailed => ("Dados inválidos", "Validation failed"),
            Self::NoValidContact => ("Nenhum contato válido", "No valid contact"),
            Self::TemplateNotFound => ("Modelo não encontrado", "Template not found"),
            Self::InstanceNotFound => ("Instância não encontrada", "Instance not found"),
            Self::RateLimited => ("Requisições demais", "Too many requests"),
            Self::Internal => ("Erro interno", "Internal error"),
            Self::Unavailable => ("Serviço indisponível", "Service unavailable"),
        }
    }

    #[expect(clippy::too_many_lines, reason = "it is a table of sentences")]
    const fn details(self) -> (&'static str, &'static str) {
        match self {
            Self::MalformedJson => ("O corpo não é um JSON válido.", "The body is not valid JSON."),
            Self::ApiKeyMissing => {
                ("Envie a chave no cabeçalho X-Billing-API-Key.", "Send the key in the header X-Billing-API-Key.")
            }
            Self::ApiKeyInvalid => (
                "A chave enviada em X-Billing-API-Key não existe. Confira se foi copiada inteira, começando por regua_.",
                "The key in X-Billing-API-Key does not exist. Check that it was copied whole, beginning with regua_.",
            ),
            Self::ApiKeyInactive => (
                "A chave foi desativada, ou a conta está suspensa. Fale com o administrador da conta.",
                "The key was deactivated, or the account is suspended. Contact the account's administrator.",
            ),
            Self::ApiKeyExpired => {
                ("A validade da chave terminou. Peça uma nova.", "The key has expired. Ask for a new one.")
            }
            Self::QuotaExceeded => ("O limite do plano foi atingido.", "The plan's limit is reached."),
            Self::NotAuthenticated => (
                "Entre em POST /api/v1/auth/login e envie o access_token em Authorization: Bearer, ou entre no console de novo.",
                "Log in at POST /api/v1/auth/login and send the access_token as Authorization: Bearer, or log in to the console again.",
            ),
            Self::LoginFailed => (
                "Empresa, e-mail, senha ou código não conferem.",
                "The tenant, the e-mail, the password or the code is wrong.",
            ),
            Self::TotpRequired => (
                "Envie em \"totp\" o código de seis dígitos do aplicativo autenticador, ou um código de recuperação.",
                "Send the six digits of the authenticator app as \"totp\", or a recovery code.",
            ),
            Self::TokenInvalid => (
                "O token não existe, já foi usado ou venceu. Entre de novo, ou peça outro convite.",
                "The token does not exist, was used already, or has expired. Log in again, or ask for another invitation.",
            ),
            Self::Forbidden => ("O seu papel não permite esta ação.", "Your role does not allow this."),
            Self::CrossSite => (
                "A requisição veio da página de outro site. Use o console, ou um access_token.",
                "The request came from another site's page. Use the console, or an access_token.",
            ),
            Self::NameTaken => ("Já existe um com este nome.", "This name is already in use."),
            Self::InUse => ("Algo ainda depende dele.", "Another object still depends on it."),
            Self::WebhookSecretInvalid => (
                "O segredo enviado em X-Regua-Webhook-Secret não é o deste número. Configure de novo com `regua instance webhook`.",
                "The secret in X-Regua-Webhook-Secret is not the secret of this number. Set it up again with `regua instance webhook`.",
            ),
            Self::IpNotAllowed => (
                "Esta chave não pode ser usada a partir do endereço de onde veio a requisição.",
                "This key may not be used from the address that the request came from.",
            ),
            Self::TemplateTypeNotAllowed => {
                ("Esta chave não pode enviar este tipo de mensagem.", "This key may not send this type of message.")
            }
            Self::NotFound => (
                "Não há nada neste endereço. Confira o caminho e o id.",
                "There is nothing at this address. Check the path and the id.",
            ),
            Self::MethodNotAllowed => (
                "Este endereço não aceita este método. O cabeçalho Allow diz quais aceita.",
                "This address does not accept this method. The header Allow lists the methods that it accepts.",
            ),
            Self::BodyTimeout => (
                "O corpo da requisição não chegou inteiro no tempo previsto. Repita a requisição.",
                "The body of the request did not arrive completely in time. Repeat the request.",
            ),
            Self::BatchConflict => (
                "Este external_id já foi recebido com outro conteúdo.",
                "A batch with this external_id was accepted before with other contents.",
            ),
            Self::StateConflict => {
                ("O estado da fila não permite esta ação.", "The queue's state does not allow this action.")
            }
            Self::BodyTooLarge => (
                "O corpo passa do tamanho máximo. Divida os contatos em mais de um lote.",
                "The body is larger than the limit. Split the contacts into several batches.",
            ),
            Self::UnsupportedMediaType => (
                "Envie o corpo em JSON, sem compressão, com o cabeçalho Content-Type: application/json.",
                "Send the body as JSON, uncompressed, with the header Content-Type: application/json.",
            ),
            Self::ValidationFailed => (
                "Há campos errados; a lista \"errors\" diz quais e como corrigi-los. Nada foi aceito.",
                "Fields are wrong; the list \"errors\" says which and how to correct them. Nothing was accepted.",
            ),
            Self::NoValidContact => (
                "Nenhum contato do lote pôde ser aceito; a lista \"errors\" diz por quê. Nada foi aceito.",
                "No contact of the batch could be accepted; the list \"errors\" says why. Nothing was accepted.",
            ),
            Self::TemplateNotFound => ("O modelo não existe.", "There is no such template."),
            Self::InstanceNotFound => ("A instância não existe.", "There is no such instance."),
            Self::RateLimited => (
                "Requisições demais. Espere os segundos do cabeçalho Retry-After.",
                "Too many requests. Wait for the seconds in the header Retry-After.",
            ),
            Self::Internal => (
                "Algo falhou do nosso lado. Se persistir, informe o request_id ao suporte.",
                "Something failed on our side. If it persists, give the request_id to support.",
            ),
            Self::Unavailable => (
                "O banco de dados não respondeu. Repita daqui a alguns segundos com o mesmo external_id: nada é enviado em dobro.",
                "The database did not answer. Repeat in some seconds with the same external_id: nothing is sent twice.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_title_of_its_own_in_both_languages() {
        for code in Code::ALL {
            let (portuguese, english) = code.titles();
            assert_ne!(portuguese, english, "{code:?}");
            assert!(code.details().0.ends_with('.') && code.details().1.ends_with('.'), "{code:?}");
        }
        let titles: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.titles().1).collect();
        assert_eq!(titles.len(), Code::ALL.len());
    }
}
