//! Words that decide what a name is: titles, particles, estates and organisations. They are compared in lower case,
//! without accents and punctuation; a new word is one more in a list.

/// In lower case inside a person's name.
const PARTICLES: &str = "de da do das dos e di du del von";

/// Before a person's name.
const TITLES: &str = "sr sra srta srs sras senhor senhora dr dra drs dras doutor doutora dona dna prof profa professor \
    professora eng enga pe exmo exma ilmo ilma";

/// A person who has died, or a company that has failed.
const ESTATES: &str = "espolio herdeiro herdeiros herdeira herdeiras falecido falecida";

/// At the end of a company's name.
const LEGAL_FORMS: &str = "me epp mei s/a s/c s/s sa slu ss ei";

/// Anywhere in an organisation's name, and in no person's.
const ORGANISATIONS: &str = "ltda eireli cia & advocacia advogados alimentos associacao associados atacadista autopecas \
    bazar bebidas boutique clinica colegio comercial comercio condominio confeccoes construcoes construtora \
    consultoria contabilidade cooperativa corretora cosmeticos distribuidora drogaria drogarias editora eletronica \
    embalagens empreendimentos engenharia equipamentos eventos farmacia ferragens filhos funeraria grafica holding \
    hospital hotel imobiliaria imoveis importadora industria industrial informatica instituto irmaos judicial \
    laboratorio lanchonete limitada livraria locadora logistica loja lojas madeireira magazine materiais mercearia \
    metalurgica misericordia modas moveis municipal oficina otica padaria panificadora papelaria participacoes pecas \
    peixaria pizzaria pneus pousada prefeitura produtos representacoes restaurante revendedora seguros serralheria \
    servicos sindicato sistemas solucoes sorveteria supermercado supermercados tecnologia telecom telecomunicacoes \
    transportadora transportes turismo usina vestuario veterinaria viagens vidracaria";

/// First in an organisation's name; some are family names elsewhere. Also what registers call a buyer without a name.
const FIRST_WORDS: &str = "abrigo academia acougue adega agencia agropecuaria armazem arquidiocese assembleia assessoria \
    atelie auto autoescola banca banco bar barbearia biblioteca borracharia buffet caixa camara cantina cartorio casa \
    central centro cervejaria chacara churrascaria cliente clientes clube comite companhia comunidade confeitaria \
    congregacao conselho consorcio consultorio consumidor coop corpo creche curso departamento depositaria deposito \
    despachante diocese diretorio diversos edificio emporio empresa escola escritorio espaco estacionamento estado \
    estudio fabrica faculdade fazenda federacao feira floricultura frigorifico frutaria fundacao fundo garagem governo \
    granja gremio grupo hamburgueria haras horta hortifruti igreja jardim jornal lar lava lavanderia loterica lote \
    loteamento marcenaria maternidade mercadinho mercado mineradora ministerio mitra mosteiro municipio museu \
    nucleo organizacao orgao parque paroquia partido pet posto radio rancho rede residencial resort sacolao salao \
    secretaria seminario shopping sindico sitio sociedade spa studio tabacaria tabelionato teatro templo terreiro \
    transporte tribunal tv uniao universidade varejao";

const ARTICLES: &str = "a o as os";

fn is_in(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|other| other == word)
}

pub(super) fn is_particle(word: &str) -> bool {
    is_in(PARTICLES, &word.to_lowercase())
}

pub(super) fn is_title(word: &str) -> bool {
    is_in(TITLES, &folded(word))
}

/// Whether words name the estate of a person or of a company.
pub(super) fn is_estate(words: &[&str]) -> bool {
    let is_bankrupt = |pair: &[&str]| matches!(pair, [one, two] if folded(one) == "massa" && folded(two) == "falida");
    words.iter().any(|word| is_in(ESTATES, &folded(word))) || words.windows(2).any(is_bankrupt)
}

pub(super) fn is_organisation(words: &[&str]) -> bool {
    let all: Vec<String> = words.iter().map(|word| folded(word)).filter(|word| !word.is_empty()).collect();
    let first = all.iter().position(|word| !is_in(ARTICLES, word)).unwrap_or_default();
    all.iter().any(|word| is_in(ORGANISATIONS, word))
        || all.get(first).is_some_and(|word| is_in(FIRST_WORDS, word))
        || matches!(words, [.., before, last] if is_legal_form(before, last))
}

/// `MARIA DE SA`, `Maria Sa` and `MARIA SÁ` are persons.
fn is_legal_form(before: &str, last: &str) -> bool {
    let word = folded(last);
    let is_family = word == "sa" && (is_particle(before) || !last.is_ascii() || last.starts_with("Sa"));
    is_in(LEGAL_FORMS, &word) && !is_family
}

/// In lower case, without accents, and without punctuation other than `/` and `&`.
fn folded(word: &str) -> String {
    word.to_lowercase().chars().filter_map(without_accent).collect()
}

fn without_accent(letter: char) -> Option<char> {
    Some(match letter {
        'á' | 'à' | 'â' | 'ã' | 'ä' => 'a',
        'é' | 'ê' | 'è' | 'ë' => 'e',
        'í' | 'ì' | 'î' | 'ï' => 'i',
        'ó' | 'ô' | 'õ' | 'ò' | 'ö' => 'o',
        'ú' | 'ù' | 'û' | 'ü' => 'u',
        'ç' => 'c',
        '/' | '&' => letter,
        _ if letter.is_alphanumeric() => letter,
        _ => return None,
    })
}
