//! Active text and costly templates, also by their variables.

use super::*;

#[test]
fn disguised_markup_is_refused() {
    for (source, column) in [
        ("x <script>alert(1)</script>", 3),
        ("x <ScRiPt src=y>", 3),
        ("x < script>", 3),
        ("x <scr\nipt>", 3),
        ("x <scr{{! }}ipt>", 3),
        ("x &lt;script>", 3),
        ("x &#60;script>", 3),
        ("x &#x3C;script>", 3),
        ("x <iframe src=y>", 3),
        ("JavaScript:alert(1)", 1),
        ("java\tscript:x", 1),
        ("&#106;avascript:x", 1),
        ("javascript&colon;x", 1),
        ("<img onerror=x>", 6),
        ("<img/onerror = x>", 6),
        ("<b onfoo=x>", 4),
        ("x ONCLICK=\"y\"", 3),
        ("\"onmouseover='y'", 2),
        ("x view-source:https://y", 3),
        ("x intent:#Intent;end", 3),
        ("x file:///etc/passwd", 3),
        ("x data:text/html,y", 3),
        ("x data:;base64,y", 3),
        ("x ftp://y", 3),
        ("x whatsapp://send", 3),
        ("x FTP&colon;//y", 3),
        ("{{esquema}}://y", 1),
        ("x {{esquema}}s://y", 3),
        ("x http{{esquema}}://y", 3),
        ("x java{{meio}}script:y", 3),
        ("x {{nome}}<scr{{meio}}ipt>", 11),
        ("x :{{meio}}//y", 3),
    ] {
        let error = MessageTemplate::parse(source).unwrap_err();
        assert_eq!((error.code(), error.line, error.column), ("template_forbidden_markup", 1, column), "{source:?}");
    }
}

#[test]
fn ordinary_texts_are_not_markup() {
    for source in [
        "Pague online = 5% de desconto",
        "Valor: R$ 10 < R$ 20, onde x = 3",
        "https://pagar.example/?onda=2&once=1",
        "Script de atendimento: fale conosco & ganhe",
        "one=1 on=2",
        "*negrito* _itálico_ ~riscado~ {x}",
        "Data: 10/11/2026, data:10/11, Perfil:/x, conteúdo: intenções",
        "Tel: 4002-8922, tel:40028922, mailto:contato@acme.example",
        "Pague aqui:https://pagar.example, ou http://x.example/?a=b&c=d ou pagar.example",
        "Clique...HTTPS://PAGAR.example {{nome}}https://x.example",
        "{{link}} às {{hora}}:30",
        "Pague aqui:\nhttps://pagar.example\ne aqui\n\thttp://x.example",
    ] {
        assert!(MessageTemplate::parse(source).is_ok(), "{source}");
    }
}

#[test]
fn variables_cannot_activate_a_valid_template() {
    for (source, own, found) in [
        ("{{a}}{{b}}", json!({"a": "java", "b": "script:alert(1)"}), Some("javascript:")),
        ("{{a}}script:x", json!({"a": "VB"}), Some("vbscript:")),
        ("{{a}}//y", json!({"a": "ftp:"}), Some("ftp://")),
        ("{{a}}https://y", json!({"a": "x"}), Some("xhttps://")),
        ("{{a}} {{b}}", json!({"a": "<img", "b": "onfoo=x"}), Some("on…=")),
        ("<{{a}}", json!({"a": "iframe src=x"}), Some("<iframe")),
        ("{{a}}{{b}}", json!({"a": "https:", "b": "//pagar.example"}), None),
        ("{{a}}: {{b}}", json!({"a": "data", "b": "10/11"}), None),
    ] {
        let expected = found.map(|found| RenderError::ForbiddenMarkup { found: found.to_owned() });
        assert_eq!(rendered(source, &own).err(), expected, "{source}");
    }
}

/// A template has no loops, so its tags limit the work, and the output has a limit.
#[test]
fn worst_template_with_worst_variables_is_refused_quickly() {
    let names: Vec<String> = (0..50).map(|n| format!("v{n}")).collect();
    let own = Value::Object(names.iter().map(|name| (name.clone(), json!("á:&<".repeat(250)))).collect());
    let tags = |count: usize| (0..count).map(|n| format!("{{{{v{}}}}}", n % 50)).collect::<String>();
    assert_eq!(MessageTemplate::parse(&tags(257)).unwrap_err().code(), "template_too_many_tags");
    let deep = |inner: &str| format!("{}{inner}{}", "{{#if v1}}".repeat(8), "{{/if}}".repeat(8));
    let worst = [tags(256), deep(&tags(240)), format!("{{{{v1}}}}{{{{v2}}}}{}", ":&<=onx ".repeat(384))];
    let variables = variables(&own);
    let started = std::time::Instant::now();
    for source in &worst {
        let template = MessageTemplate::parse(source).unwrap();
        assert_eq!(template.render(&variables), Err(RenderError::TooLong));
    }
    let short = MessageTemplate::parse(&":&=o nx ".repeat(512)).unwrap();
    assert!(short.render(&variables).is_ok());
    let took = started.elapsed();
    println!("parsed and rendered in {took:?}");
    assert!(took.as_millis() < 1000, "{took:?}");
}
