# The texts for people in Brazilian Portuguese. CONTRIBUTING.md says how a text is added. A brace is written {"{"}.

## Problems: title and usual detail of each code

problem-malformed-json-title = JSON malformado
problem-malformed-json-detail = O corpo não é um JSON válido.
problem-api-key-missing-title = Chave de API ausente
problem-api-key-missing-detail = Envie a chave no cabeçalho X-Billing-API-Key.
problem-api-key-invalid-title = Chave de API inválida
problem-api-key-invalid-detail = A chave enviada em X-Billing-API-Key não existe. Confira se foi copiada inteira, começando por regua_.
problem-api-key-inactive-title = Chave de API inativa
problem-api-key-inactive-detail = A chave foi desativada, ou a conta está suspensa. Fale com o administrador da conta.
problem-api-key-expired-title = Chave de API expirada
problem-api-key-expired-detail = A validade da chave terminou. Peça uma nova.
problem-quota-exceeded-title = Limite do plano atingido
problem-quota-exceeded-detail = O limite do plano foi atingido.
problem-not-authenticated-title = Não autenticado
problem-not-authenticated-detail = Entre em POST /api/v1/auth/login e envie o access_token em Authorization: Bearer, ou entre no console de novo.
problem-login-failed-title = Login recusado
problem-login-failed-detail = Empresa, e-mail, senha ou código não conferem.
problem-totp-required-title = Código de verificação necessário
problem-totp-required-detail = Envie em "totp" o código de seis dígitos do aplicativo autenticador, ou um código de recuperação.
problem-token-invalid-title = Token inválido
problem-token-invalid-detail = O token não existe, já foi usado ou venceu. Entre de novo, ou peça outro convite.
problem-forbidden-title = Ação não permitida
problem-forbidden-detail = O seu papel não permite esta ação.
problem-cross-site-title = Requisição de outro site
problem-cross-site-detail = A requisição veio da página de outro site. Use o console, ou um access_token.
problem-name-taken-title = Nome já usado
problem-name-taken-detail = Já existe um com este nome.
problem-in-use-title = Em uso
problem-in-use-detail = Algo ainda depende dele.
problem-webhook-secret-invalid-title = Segredo do webhook inválido
problem-webhook-secret-invalid-detail = O segredo enviado em X-Regua-Webhook-Secret não é o deste número. Configure de novo com `regua instance webhook`.
webhook-tenant-suspended = A conta está suspensa; os webhooks dela não são aceitos.
problem-ip-not-allowed-title = Endereço IP não autorizado
problem-ip-not-allowed-detail = Esta chave não pode ser usada a partir do endereço de onde veio a requisição.
problem-template-type-not-allowed-title = Tipo de mensagem não autorizado
problem-template-type-not-allowed-detail = Esta chave não pode enviar este tipo de mensagem.
problem-not-found-title = Não encontrado
problem-not-found-detail = Não há nada neste endereço. Confira o caminho e o id.
problem-method-not-allowed-title = Método não permitido
problem-method-not-allowed-detail = Este endereço não aceita este método. O cabeçalho Allow diz quais aceita.
problem-body-timeout-title = Corpo incompleto
problem-body-timeout-detail = O corpo da requisição não chegou inteiro no tempo previsto. Repita a requisição.
problem-batch-conflict-title = Lote já recebido com outro conteúdo
problem-batch-conflict-detail = Este external_id já foi recebido com outro conteúdo.
problem-state-conflict-title = Ação não permitida neste estado
problem-state-conflict-detail = O estado da fila não permite esta ação.
problem-body-too-large-title = Corpo grande demais
problem-body-too-large-detail = O corpo passa do tamanho máximo. Divida os contatos em mais de um lote.
problem-unsupported-media-type-title = Tipo de conteúdo não aceito
problem-unsupported-media-type-detail = Envie o corpo em JSON, com o cabeçalho Content-Type: application/json.
problem-validation-failed-title = Dados inválidos
problem-validation-failed-detail = Há campos errados; a lista "errors" diz quais e como corrigi-los. Nada foi aceito.
problem-no-valid-contact-title = Nenhum contato válido
problem-no-valid-contact-detail = Nenhum contato do lote pôde ser aceito; a lista "errors" diz por quê. Nada foi aceito.
problem-template-not-found-title = Modelo não encontrado
problem-template-not-found-detail = O modelo não existe.
problem-instance-not-found-title = Instância não encontrada
problem-instance-not-found-detail = A instância não existe.
problem-schema-too-costly-title = JSON Schema do modelo pesado demais
problem-schema-too-costly-detail = Conferir os contatos com o JSON Schema do modelo leva tempo demais. Nada foi gravado. Simplifique o JSON Schema.
problem-rate-limited-title = Requisições demais
problem-rate-limited-detail = Requisições demais. Espere os segundos do cabeçalho Retry-After.
problem-internal-title = Erro interno
problem-internal-detail = Algo falhou do nosso lado. Se persistir, informe o request_id ao suporte.
problem-overloaded-title = Serviço sobrecarregado
problem-overloaded-detail = O serviço está ocupado demais neste momento. Repita depois dos segundos do cabeçalho Retry-After: nada foi aceito.
problem-unavailable-title = Serviço indisponível
problem-unavailable-detail = O banco de dados não respondeu. Repita daqui a alguns segundos com o mesmo external_id: nada é enviado em dobro.

## The body, its fields and the query

body-not-an-object = O corpo deve ser um objeto JSON.
body-malformed = O corpo não é um JSON válido: há um erro na linha { $line }, coluna { $column }.
body-not-utf8 = O corpo não está em UTF-8: há o byte { $byte } na linha { $line }, coluna { $column }. Envie em UTF-8, ou diga a codificação: Content-Type: application/json; charset=windows-1252.
body-not-of-charset = O corpo não está na codificação { $charset } que o cabeçalho Content-Type diz.
body-damaged = O corpo comprimido está danificado ou incompleto. Envie de novo, ou sem compressão.
body-content-type = O cabeçalho Content-Type é "{ $sent }". Envie JSON com Content-Type: application/json.
body-charset = A codificação "{ $sent }" não é conhecida. Envie em UTF-8, ou diga charset=ISO-8859-1 ou charset=windows-1252.
body-content-encoding = A compressão "{ $sent }" não é aceita. Envie com Content-Encoding: gzip ou deflate, ou sem compressão.
field-duplicate = O campo aparece mais de uma vez.
field-number = Envie um número inteiro de { $least } a { $most }.
field-instant = Envie data, hora e fuso, por exemplo "2026-11-23T09:00:00-03:00".
field-required = O campo é obrigatório.
field-wrong-type = O campo deve ser { $type }.
field-unknown = O campo não existe. Campos aceitos: { $known }.
field-empty = O campo está vazio.
field-too-long = O campo tem { $length } caracteres; o máximo é { $most }.
field-invisible-character = O campo contém o caractere invisível { $character }, que não é aceito. Apague-o e digite o trecho de novo.
type-string = um texto
type-boolean = true ou false
type-object = um objeto
type-string-list = uma lista de até { $most } textos
type-object-list = uma lista de objetos
type-interval-list = uma lista de até { $most } intervalos
type-id = um id
object-too-large = O objeto tem { $bytes } bytes de JSON; o máximo é { $most }.
object-too-deep = O objeto tem mais de { $most } níveis. Envie um mais simples.
object-invisible-character = O objeto contém o caractere invisível { $character }, que não é aceito. Remova-o.
accepted-values = Valores aceitos: { $values }.
parameter-control-characters = Remova os caracteres de controle.
parameter-cursor = Use o valor de "next_cursor" da página anterior, sem alterá-lo.
parameter-limit = Envie um número de 1 a { $most }.
parameter-unknown = O parâmetro não existe ou está repetido. Parâmetros aceitos: { $known }.

## Errors of one value: the id is the code of the error

name-invalid-characters = O nome contém o caractere invisível { $character }, que não é aceito. Apague-o e envie só texto.
name-empty = O nome está vazio. Informe o nome do contato.
name-too-long = O nome tem mais de 200 caracteres. Envie um nome mais curto.
phone-empty = O telefone está vazio. Informe DDD e número, por exemplo (11) 98888-7777.
phone-invalid-characters = O telefone contém letras ou símbolos. Use só dígitos, espaços, parênteses, ponto, hífen e, no início, +.
phone-with-text = O telefone vem junto com palavras ou símbolos. Envie só o número: { $meant }.
phone-too-short = O telefone tem dígitos de menos. Informe DDD e número, por exemplo (11) 98888-7777; de outro país, +, código do país e número.
phone-too-long = O telefone tem dígitos demais. Informe um só número, por exemplo 11988887777 ou +5511988887777.
phone-ninth-digit = Um celular brasileiro tem nove dígitos depois do DDD e começa com 9; um fixo tem oito. Confira o cadastro. O número pode ser: { $meant }.
phone-service-number = Números de serviço como 0800 não recebem mensagens. Informe o celular do contato com DDD.
phone-invalid = O telefone não existe em nenhum plano de numeração. Informe DDD e número, por exemplo (11) 98888-7777; de outro país, comece com + e o código do país.
phone-invalid-ddd = { $area_code } não é um DDD do Brasil. Informe DDD e número, por exemplo (11) 98888-7777; de outro país, comece com +.
meant-one = Deve ser "{ $value }": se é isso, envie assim.
meant-two = Pode ser "{ $first }" ou "{ $second }": envie o certo.
due-date-form = Envie só o dia, como 10/11/2026 ou 2026-11-10 para 10 de novembro de 2026.
due-date-empty = O vencimento está vazio. Envie o dia, como 10/11/2026 ou 2026-11-10 para 10 de novembro de 2026.
due-date-malformed = O vencimento "{ $text }" não pôde ser lido. { $remedy }
due-date-swapped = No vencimento "{ $text }", o dia e o mês estão trocados. { $remedy }
due-date-no-such-day = O dia "{ $text }" não existe no calendário. { $remedy }
due-date-two-digit-year = O ano do vencimento "{ $text }" não tem quatro algarismos. { $remedy }
due-date-serial = O vencimento "{ $text }" é o número com que o Excel guarda uma data. { $remedy } Na planilha, formate a coluna como data.
due-date-time = O vencimento "{ $text }" traz um horário, e deve ser só um dia. { $remedy }
due-date-offset = O vencimento "{ $text }" traz horário e fuso, e o dia depende do fuso. { $remedy }
due-date-local-or-written = No horário de São Paulo é "{ $local }"; sem olhar o fuso, "{ $written }". Envie o dia certo, sem horário.
due-date-out-of-range = O ano do vencimento deve estar entre 2000 e 2100. Confira a data.
amount-form = Envie o valor em reais, como 1234.56 ou 1.234,56.
amount-empty = O valor está vazio. Envie o valor em reais, como 1234.56 ou 1.234,56.
amount-malformed = O valor "{ $text }" não pôde ser lido. { $remedy }
amount-ambiguous = O valor "{ $text }" pode ser lido de duas formas: o separador pode ser de milhares ou de decimais. { $remedy }
amount-thousands-or-decimals = Se é de milhares, envie "{ $thousands }"; se é de decimais, "{ $decimals }".
amount-thousands-or-third-decimal = Se é de milhares, envie "{ $thousands }"; se é de decimais, há três, e um valor em reais tem no máximo duas.
amount-too-many-decimals = O valor "{ $text }" tem mais de duas casas decimais. { $remedy }
amount-float-noise = O valor "{ $text }" tem casas decimais que sobram quando um programa calcula com ponto flutuante (float). { $remedy } No programa, arredonde para duas casas antes de enviar.
amount-scientific = O valor "{ $text }" está em notação científica, na qual planilhas perdem algarismos. { $remedy } Na planilha, formate a coluna como número.
amount-credit = O valor "{ $text }" é negativo: é um crédito, e não há o que cobrar. Tire este contato do lote.
amount-not-positive = O valor é zero: não há o que cobrar. Tire este contato do lote, ou envie o valor em aberto.
amount-percent = O valor "{ $text }" é uma porcentagem. { $remedy }
amount-other-currency = O valor "{ $text }" não está em reais. { $remedy }
amount-too-large = O valor passa de R$ 999.999.999,99. Confira se ele está em reais, e não em centavos.
phone-leading-zeros = O telefone tem zeros demais no início. Envie o número sem eles: { $meant }.
phone-doubled-country-code = O telefone tem o código do Brasil (55) repetido. Envie { $meant }.
phone-missing-country-code = Depois do + vem o código do país, e falta o 55 do Brasil. Envie { $meant }.
phone-missing-plus = O telefone tem dígitos demais para o Brasil. Se for de outro país, envie com +: { $meant }.
phone-two-numbers = O campo tem mais de um telefone. Envie um só: { $meant }.
phone-two-readings = O último dígito está separado: pode ser do telefone ou de uma segunda linha. Confira e envie um destes: { $meant }.
phone-extension = O telefone tem ramal, e o WhatsApp não chega a um ramal. Envie o celular do contato; se a própria linha tiver WhatsApp, envie { $meant }.
phone-scientific = O telefone está em notação científica, como 1,19889E+10: a planilha perdeu os últimos dígitos. Formate a coluna como texto e exporte de novo a partir do cadastro.
phone-whole-scientific = O telefone está em notação científica, como 1,1988887777E+10. Formate a coluna como texto. O número parece ser { $meant }.
phone-decimal = O telefone tem casas decimais. Formate a coluna como texto e envie DDD e número, por exemplo (11) 98888-7777.
phone-cpf = O telefone parece um CPF (três, três, três e dois dígitos). Envie DDD e número, por exemplo (11) 98888-7777.
phone-cnpj = O telefone parece um CNPJ. Envie DDD e número, por exemplo (11) 98888-7777 ou +5511988887777.
phone-lid = O identificador termina em @lid: é um código interno do WhatsApp, e não um telefone. Envie DDD e número, por exemplo (11) 98888-7777.
phone-group = O identificador é de um grupo ou canal do WhatsApp, e não de uma pessoa. Envie o telefone do contato com DDD, por exemplo (11) 98888-7777.
phone-email = O telefone contém @, como um e-mail. Envie DDD e número, por exemplo (11) 98888-7777.
reference-invalid = A referência tem seis caracteres, dígitos e letras sem I, L, O e U, como 7K3F9Q.
hours-weekday = O dia da semana { $weekday } não existe: use de 1 (segunda) a 7 (domingo).
hours-past-midnight = O horário termina no máximo às 24:00; para virar a noite, crie outro intervalo no dia seguinte.
hours-empty = O horário de abertura deve ser anterior ao de fechamento, por exemplo 08:00 a 18:00.

## Templates and messages: the id is the code of the error

template-forbidden-character = o caractere invisível { $character } não é aceito; apague-o e digite o trecho de novo.
template-forbidden-markup = { $problem }
template-not-allowed = "{ $construct }" não é aceito. Use só {"{{variavel}}"}, {"{{#if variavel}}"}…{"{{else}}"}…{"{{/if}}"} e {"{{#unless variavel}}"}…{"{{/unless}}"}.
template-unknown-helper = "{ $helper }" não é um comando conhecido. Os comandos são if e unless; uma variável é escrita sozinha, como {"{{nome}}"}.
template-missing-condition = falta a variável depois de #{ $helper }. Escreva, por exemplo, {"{{"}#{ $helper } valor{"}}"}.
template-invalid-name = "{ $name }" não serve como nome de variável. Use letras minúsculas sem acento, dígitos e _, por exemplo {"{{primeiro_nome}}"}.
template-unclosed-block = o bloco {"{{"}#{ $helper } …{"}}"} não é fechado. Acrescente {"{{"}/{ $helper }{"}}"} onde ele termina.
template-unclosed-tag = {"{{"} foi aberto e não fechado. Termine com {"}}"}, por exemplo {"{{nome}}"}.
template-unopened-block = {"{{"}/{ $helper }{"}}"} não fecha nenhum bloco. Remova-o ou abra {"{{"}#{ $helper } variavel{"}}"} antes.
template-mismatched-close = o bloco aberto é {"{{"}#{ $opened } …{"}}"}, mas está sendo fechado por {"{{"}/{ $closed }{"}}"}. Use {"{{"}/{ $opened }{"}}"}.
template-syntax = o modelo não pôde ser lido: { $message }.
template-empty = o modelo está vazio. Escreva o texto da mensagem.
template-too-long = o modelo passa de 4096 caracteres, o limite do WhatsApp. Encurte-o.
template-stray-braces = há chaves {"}}"} sobrando. Use exatamente duas de cada lado, por exemplo {"{{nome}}"}.
template-else-outside-block = {"{{else}}"} só pode ficar entre {"{{#if …}}"} e {"{{/if}}"}, ou {"{{#unless …}}"} e {"{{/unless}}"}.
template-second-else = cada bloco tem no máximo um {"{{else}}"}. Para mais casos, ponha outro {"{{#if …}}"} dentro dele.
template-too-many-tags = o modelo tem mais de 256 variáveis e comandos. Simplifique-o.
template-too-deep = os blocos passam de oito níveis de profundidade. Simplifique as condições.
template-position = Linha { $line }, coluna { $column }: { $problem }
template-variation-count = O modelo tem { $count } variações; envie de 1 a { $most }.
template-variation = Variação { $variation }: { $problem }
active-text-link = o link "{ $found }" não é aceito. Escreva o link inteiro, começando por https:// ou http://, com um espaço antes.
active-text = "{ $found }" não é aceito: a mensagem é texto puro, sem scripts nem HTML ativo, e seus links começam por https:// ou http://. Remova o trecho.
missing-variable = Falta a variável "{ $name }", que o modelo usa. Envie-a em "variables" ou ponha o trecho entre {"{{"}#if { $name }{"}}"} e {"{{/if}}"}.
message-blank = A mensagem ficou vazia com estes dados. Confira as condições do modelo.
message-too-long = A mensagem passa de 4096 caracteres com estes dados. Encurte o modelo ou as variáveis.
message-forbidden-markup = Na mensagem, { $problem }
render-failed = A mensagem não pôde ser montada: { $message }.

## Variables and their schema: the id is the code of the error

too-many-variables = Foram enviadas { $count } variáveis; o máximo é { $most }. Envie só as que o modelo usa.
reserved-variable = O nome de variável "{ $name }" é reservado pelo sistema. Use outro, por exemplo "meu_{ $name }".
variable-invalid-name = "{ $name }" não serve como nome de variável. Use até { $most } letras minúsculas sem acento, dígitos e _, por exemplo "link_boleto".
variable-not-scalar = A variável "{ $name }" deve ser texto, número ou booleano; listas e objetos não são aceitos.
variable-too-long = A variável "{ $name }" passa de { $most } caracteres. Envie um texto mais curto.
variable-invalid-characters = A variável "{ $name }" contém o caractere invisível { $character }, que não é aceito. Apague-o; quebras de linha podem ficar.
variable-forbidden-markup = Na variável "{ $name }", { $problem }
schema-not-an-object = O JSON Schema deve ser um objeto, por exemplo {"{"}"type": "object"{"}"}.
schema-too-long = O JSON Schema passa de { $most } bytes. Simplifique-o.
schema-too-deep = O JSON Schema tem mais de { $most } níveis. Simplifique-o.
schema-too-many-patterns = O JSON Schema tem mais de { $most } expressões (pattern, patternProperties). Use menos.
schema-too-costly = Conferir um contato com o JSON Schema leva passos demais. Use menos expressões, referências e alternativas, e nenhum esquema com "$id" próprio dentro dele.
schema-reference = A referência "{ $reference }" não é aceita: nada é buscado fora e não há ciclos. Aponte para "#/$defs/…", e só de fora dele.
schema-invalid = O JSON Schema não é válido em "{ $path }": { $message }.
variables-schema-required = Falta a variável "{ $pointer }", exigida pelo modelo. Envie-a em "variables".
variables-schema-additional = A variável "{ $pointer }" não está prevista no modelo. Remova-a ou corrija o nome.
variables-schema = A variável "{ $pointer }" não atende à regra "{ $keyword }" do JSON Schema do modelo. Corrija o valor.

## Rules that hold or skip a contact

rule-already-final = O envio deste contato já foi encerrado.
rule-queue-cancelled = A fila foi cancelada por um operador.
rule-already-sending = Uma tentativa de envio está em andamento; aguarde o resultado.
rule-attempts-used-up = Todas as tentativas permitidas foram usadas sem sucesso.
rule-tenant-suspended = A conta está suspensa; os envios voltam quando ela for reativada.
rule-queue-paused = A fila está pausada; retome-a para continuar os envios.
rule-queue-scheduled = A fila está agendada e ainda não chegou a hora de começar.
rule-business-hours = Fora do horário comercial ou feriado; os envios voltam na próxima abertura.
rule-instance-down = O número de WhatsApp não está conectado; conecte-o e os envios voltam sozinhos.
rule-not-due = A próxima tentativa deste contato está marcada para mais tarde.
rule-daily-cap = O número atingiu o limite diário de envios; eles voltam amanhã.
rule-pacing = O contato aguarda o ritmo de envio do número.

## Batches and their contacts

batch-body-too-large = O corpo passa de { $limit } bytes. Divida os contatos em mais de um lote, cada um com seu external_id.
batch-too-far-ahead = A data está mais de um ano à frente. Confira o ano.
batch-empty = A lista está vazia; envie ao menos um contato.
batch-too-many-contacts = O lote tem { $count } contatos; o máximo é { $most }. Divida-o em mais de um.
batch-template-unknown = Não há modelo "{ $name }" do tipo { $type }. Confira o nome e o tipo.
batch-template-default-missing = O lote não indica "template", e não há modelo padrão para o tipo { $type }. Indique um, ou importe um modelo com `regua template import`: o primeiro de cada tipo se torna o padrão.
batch-schema-too-costly = Conferir os contatos com o JSON Schema do modelo "{ $name }" leva tempo demais. Nada foi gravado. Simplifique-o: menos expressões, referências e alternativas.
batch-instance-unknown = Não há instância "{ $name }". Confira o nome.
batch-instance-default-missing = O lote não indica "instance", e não há instância padrão para o tipo { $type }. Indique uma, ou cadastre um número com `regua instance add`: o primeiro se torna o padrão.
batch-conflict = O lote "{ $batch }" já foi recebido com outro conteúdo, na fila { $queue }. Para enviar outro lote, use outro external_id.
batch-name-overdue = Cobrança { $batch }
batch-name-upcoming = Lembrete { $batch }
batch-name-notification = Aviso { $batch }
contact-not-an-object = O contato deve ser um objeto JSON válido.
contact-string = O campo deve ser um texto, entre aspas.
contact-bill-field-missing = O modelo usa "{ $name }". Envie "{ $field }" neste contato.
contact-duplicate = Outro contato deste lote tem o mesmo external_id; só o primeiro é considerado.
contact-landline = O número é de telefone fixo; só chega se houver WhatsApp Business nele.
contact-unknown-field = O campo não existe e foi ignorado, neste e nos demais contatos.
contact-not-unconfirmed = O contato está no estado "{ $status }"; só um contato "unconfirmed" espera uma decisão.
contact-queue-cancelled = A fila foi cancelada; nada mais é enviado por ela. Poste o contato em outro lote.
contact-data-erased = Os dados deste contato foram apagados; não há o que enviar.
queue-final = A fila está no estado "{ $status }", que é final; a ação "{ $action }" não se aplica mais.

## Login and password

password-wrong = A senha atual não confere.
password-too-short = Use ao menos 12 caracteres.
password-too-long = Use no máximo 128 caracteres.
password-too-easy = A senha é fácil de adivinhar: não use seu nome, sequências nem senhas comuns.
totp-already-set = Já há um segundo fator. Remova-o com DELETE antes de cadastrar outro.
totp-concurrent-change = O cadastro mudou enquanto isso. Repita.
totp-not-begun = Comece com POST neste endereço.
totp-wrong-code = O código não confere. Confira a hora do telefone e envie o código atual.

## The resources of a tenant

access-role-lacks-capability = O papel "{ $role }" não permite esta ação. Peça a quem administra a conta.
config-time-zone-unknown = Não há este fuso. Use um nome como America/Sao_Paulo ou America/Manaus.
debtor-cursor = Envie o next_cursor.
debtor-phone-or-external-id = Envie phone ou external_id.
default-template-unknown = Não há este modelo do tipo { $type }.
default-instance-unknown = Não há este número.
holiday-year = Envie um ano de 2000 a 2199.
holiday-too-many = Há { $most } dias fechados, o máximo. Apague os que passaram.
hours-overlap = Este intervalo começa antes que outro do mesmo dia termine.
hours-malformed = Envie um objeto como {"{"}"weekday": 1, "opens": "08:00", "closes": "18:00"{"}"}.
instance-name-invalid = Use de 1 a 64 letras, algarismos, pontos, hífens e sublinhados.
instance-too-many = Há { $most } números, o máximo.
instance-name-taken = A empresa já tem um número "{ $name }".
instance-token-required = Com outro endereço, envie também o token: o atual não é mostrado a outro servidor.
instance-in-use = O número é o padrão de um tipo, ou já há filas que passam por ele.
instance-of-another-tenant = Outra empresa tem a instância "{ $name }" de { $server }: um número é de uma só.
instance-webhook-not-accepted = O gateway não aceitou ({ $reason }). Repita.
instance-public-url-invalid = Escreva o endereço com o esquema, como https://regua.example.
instance-address-not-allowed = { $server } não é um endereço público: se o gateway deve estar lá, quem opera a plataforma define GATEWAY_ALLOW_NETWORKS.
instance-address-invalid = Escreva um endereço como https://evolution.acme.example, sem senha, consulta ou fragmento.
instance-name-not-in-path = Este nome não cabe em um caminho.
instance-token-not-in-header = O token não cabe em um cabeçalho.
instance-token-unreadable = O token guardado não pode ser lido. Envie-o de novo em "token".
instance-unusable = { $name }: { $reason }
key-may-not-send = Esta chave não pode enviar mensagens do tipo { $type }; ela pode enviar: { $allowed }.
key-lacks-scope = Esta chave não tem o escopo { $scope }; ela tem: { $scopes }.
key-not-valid = A chave já não vale. Crie outra.
key-too-many = Há { $most } chaves, o máximo. Use ou altere uma das que existem.
requests-above-ceiling = O máximo desta conta é { $most } requisições por minuto. Só a plataforma muda esse teto.
key-expiry-past = A data já passou.
key-network-invalid = Escreva uma rede como 203.0.113.0/24.
key-network-host-bits = { $text } é um endereço dentro da rede { $network }: escreva { $network } para a rede inteira, ou { $address } para só esse endereço.
retention-proof-too-short = A prova não pode durar menos que os dados.
template-too-many = Há { $most } modelos, o máximo. Apague os que ninguém usa.
template-name-taken = Já há um modelo "{ $name }". Altere-o, ou escolha outro nome.
template-in-use = O modelo é o padrão de um tipo, ou já há campanhas com ele.
tenant-slug-invalid = Use de 1 a 63 letras minúsculas, algarismos e hífens.
tenant-slug-taken = Já há uma empresa "{ $slug }": escolha outro slug.
user-email-taken = Já há uma pessoa com o endereço { $email }.
user-last-owner = É a última pessoa que administra a conta. Dê o papel "owner" a outra antes.
user-own-invitation = Ninguém convida a si: troque a senha em POST /api/v1/auth/password, ou peça a outra pessoa.
user-too-many = Há { $most } pessoas, o máximo.
user-email-invalid = Escreva um endereço como maria@acme.example.

## Warnings about a phone number that was accepted

phone-decimal-zero = O telefone veio com casas decimais (,0), como em uma coluna de números de planilha, e foi lido sem elas: { $phone }. Confira, e formate a coluna como texto.
phone-neighbour-line = O campo tem uma linha e o final da linha vizinha. Foi lida a primeira: { $phone }. Se a mensagem deve ir para a outra, envie só o número dela.
phone-foreign = Por causa do +, o telefone foi lido como número de outro país ({ $country }): { $phone }. Se for do Brasil, envie { $national }.
phone-area-55 = O telefone foi lido com DDD 55 (Rio Grande do Sul): { $phone }. Se 55 for o código do Brasil, falta o DDD: envie DDD e número. Se a leitura estiver certa, envie { $certain } e este aviso não aparece mais.
phone-carrier = O telefone foi lido sem o 0 e sem o código de operadora { $carrier }: { $phone }. Confira se não há um dígito a mais.

## Countries whose codes are Brazilian area codes too

country-1 = Estados Unidos, Canadá ou Caribe
country-7 = Rússia ou Cazaquistão
country-27 = África do Sul
country-31 = Países Baixos
country-32 = Bélgica
country-33 = França
country-34 = Espanha
country-41 = Suíça
country-43 = Áustria
country-44 = Reino Unido
country-45 = Dinamarca
country-46 = Suécia
country-47 = Noruega
country-48 = Polônia
country-49 = Alemanha
country-51 = Peru
country-53 = Cuba
country-54 = Argentina
country-61 = Austrália
country-62 = Indonésia
country-63 = Filipinas
country-64 = Nova Zelândia
country-65 = Singapura
country-66 = Tailândia
country-81 = Japão
country-82 = Coreia do Sul
country-84 = Vietnã
country-86 = China
country-91 = Índia
country-92 = Paquistão
country-93 = Afeganistão
country-94 = Sri Lanka
country-95 = Mianmar
country-98 = Irã
country-other = código fora do Brasil
