#include "fhirpath/html.h"

enum { HTML_DEPTH_MAX = 64 };

/* R4 narrative.html: chapters 7 to 11 (except 9.4) and 15 of HTML 4.0, <a>, images, and style attributes. */
static const char *const elements[] = {
    "a",     "abbr",     "acronym", "b",     "big",  "blockquote", "br",   "caption", "cite", "code",
    "col",   "colgroup", "dd",      "dfn",   "div",  "dl",         "dt",   "em",      "h1",   "h2",
    "h3",    "h4",       "h5",      "h6",    "hr",   "i",          "img",  "li",      "map",  "area",
    "ol",    "p",        "pre",     "q",     "samp", "small",      "span", "strong",  "sub",  "sup",
    "table", "tbody",    "td",      "tfoot", "th",   "thead",      "tr",   "tt",      "ul",   "var",
    "kbd",   "address",  "bdo",     "s",     "u",    "ins",        "del",
};

static const char *const attributes[] = {
    "abbr",        "accesskey",   "align",      "alt",   "axis",     "bgcolor", "border", "cellhalign",
    "cellpadding", "cellspacing", "cellvalign", "char",  "charoff",  "charset", "cite",   "class",
    "colspan",     "compact",     "coords",     "dir",   "frame",    "headers", "height", "href",
    "hreflang",    "hspace",      "id",         "lang",  "longdesc", "name",    "nowrap", "rel",
    "rev",         "rowspan",     "rules",      "scope", "shape",    "span",    "src",    "start",
    "style",       "summary",     "tabindex",   "title", "type",     "valign",  "value",  "vspace",
    "width",       "xml:lang",    "xml:space",  "xmlns", "usemap",
};

/* The named characters of HTML 4.0 (24), and XML's own. */
static const char entities[] =
    " "
    "AElig Aacute Acirc Agrave Alpha Aring Atilde Auml Beta Ccedil Chi Dagger Delta ETH Eacute "
    "Ecirc Egrave Epsilon Eta Euml Gamma Iacute Icirc Igrave Iota Iuml Kappa Lambda Mu Ntilde Nu "
    "OElig Oacute Ocirc Ograve Omega Omicron Oslash Otilde Ouml Phi Pi Prime Psi Rho Scaron Sigma "
    "THORN Tau Theta Uacute Ucirc Ugrave Upsilon Uuml Xi Yacute Yuml Zeta aacute acirc acute aelig "
    "agrave alefsym alpha amp and ang apos aring asymp atilde auml bdquo beta brvbar bull cap "
    "ccedil cedil cent chi circ clubs cong copy crarr cup curren dArr dagger darr deg delta diams "
    "divide eacute ecirc egrave empty emsp ensp epsilon equiv eta eth euml euro exist fnof forall "
    "frac12 frac14 frac34 frasl gamma ge gt hArr harr hearts hellip iacute icirc iexcl igrave image "
    "infin int iota iquest isin iuml kappa lArr lambda lang laquo larr lceil ldquo le lfloor lowast "
    "loz lrm lsaquo lsquo lt macr mdash micro middot minus mu nabla nbsp ndash ne ni not notin nsub "
    "ntilde nu oacute ocirc oelig ograve oline omega omicron oplus or ordf ordm oslash otilde "
    "otimes ouml para part permil perp phi pi piv plusmn pound prime prod prop psi quot rArr radic "
    "rang raquo rarr rceil rdquo real reg rfloor rho rlm rsaquo rsquo sbquo scaron sdot sect shy "
    "sigma sigmaf sim spades sub sube sum sup sup1 sup2 sup3 supe szlig tau there4 theta thetasym "
    "thinsp thorn tilde times trade uArr uacute uarr ucirc ugrave uml upsih upsilon uuml weierp xi "
    "yacute yen yuml zeta zwj zwnj ";

struct html {
    struct str text;
    size_t at;
    struct str open[HTML_DEPTH_MAX];
    size_t depth;
    bool has_content;
};

static bool is_listed(struct str name, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal_cstr(name, list[i])) {
            return true;
        }
    }
    return false;
}

static char peek(const struct html *html)
{
    return html->at < html->text.len ? html->text.at[html->at] : '\0';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_blanks(struct html *html)
{
    while (is_blank(peek(html))) {
        html->at++;
    }
}

static struct str read_name(struct html *html)
{
    size_t start = html->at;
    for (;;) {
        char c = peek(html);
        bool part = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ':' ||
                    c == '-' || c == '_';
        if (!part) {
            return str_slice(html->text, start, html->at);
        }
        html->at++;
    }
}

static bool skip_past(struct html *html, struct str end)
{
    size_t found = str_find(str_skip(html->text, html->at), end);
    if (html->at + found >= html->text.len) {
        return false;
    }
    html->at += found + end.len;
    return true;
}

static bool value_is_safe(struct str value)
{
    value = str_trim(value);
    return !str_equal_ignore_case(str_slice(value, 0, 11), STR("javascript:")) &&
           str_find_char(value, '<') == value.len;
}

static bool read_attribute(struct html *html)
{
    struct str name = read_name(html);
    skip_blanks(html);
    if (!is_listed(name, attributes, sizeof attributes / sizeof attributes[0]) || peek(html) != '=') {
        return false;
    }
    html->at++;
    skip_blanks(html);
    char quote = peek(html);
    if (quote != '"' && quote != '\'') {
        return false;
    }
    html->at++;
    size_t start = html->at;
    while (html->at < html->text.len && peek(html) != quote) {
        html->at++;
    }
    struct str value = str_slice(html->text, start, html->at);
    html->at++;
    return html->at <= html->text.len && value_is_safe(value);
}

static bool read_open(struct html *html)
{
    struct str name = read_name(html);
    if (!is_listed(name, elements, sizeof elements / sizeof elements[0]) ||
        (html->depth == 0 && !str_equal(name, STR("div")))) {
        return false;
    }
    html->has_content = html->has_content || str_equal(name, STR("img"));
    for (;;) {
        skip_blanks(html);
        if (peek(html) == '/') {
            html->at++;
            return peek(html) == '>' && (html->at++, true);
        }
        if (peek(html) == '>') {
            html->at++;
            if (html->depth == HTML_DEPTH_MAX) {
                return false;
            }
            html->open[html->depth++] = name;
            return true;
        }
        if (!read_attribute(html)) {
            return false;
        }
    }
}

static bool read_close(struct html *html)
{
    html->at++;
    struct str name = read_name(html);
    skip_blanks(html);
    if (html->depth == 0 || !str_equal(html->open[html->depth - 1], name) || peek(html) != '>') {
        return false;
    }
    html->at++;
    html->depth--;
    return true;
}

static bool is_entity(struct str name)
{
    char word[16];
    if (name.len == 0 || name.len + 2 > sizeof word) {
        return false;
    }
    word[0] = ' ';
    memcpy(word + 1, name.at, name.len);
    word[name.len + 1] = ' ';
    const struct str known = { entities, sizeof entities - 1 };
    return str_find(known, (struct str){ word, name.len + 2 }) < known.len;
}

static bool read_entity(struct html *html)
{
    html->at++;
    if (peek(html) == '#') {
        html->at++;
    }
    bool numbered = html->at > 0 && html->text.at[html->at - 1] == '#';
    struct str name = read_name(html);
    bool ok = name.len > 0 && peek(html) == ';' && (numbered ? name.len <= 8 : is_entity(name));
    html->at++;
    return ok;
}

static bool read_markup(struct html *html)
{
    html->at++;
    if (str_starts_with(str_skip(html->text, html->at), STR("!--"))) {
        return skip_past(html, STR("-->"));
    }
    return peek(html) == '/' ? read_close(html) : read_open(html);
}

bool html_is_safe(struct str text)
{
    struct html html = { .text = str_trim(text) };
    if (!str_starts_with(html.text, STR("<div"))) {
        return false;
    }
    while (html.at < html.text.len) {
        char c = peek(&html);
        bool ok = true;
        if (c == '<') {
            ok = read_markup(&html);
        } else if (html.depth == 0) {
            return false;
        } else if (c == '&') {
            html.has_content = true;
            ok = read_entity(&html);
        } else {
            html.has_content = html.has_content || !is_blank(c);
            html.at++;
        }
        if (!ok || (html.depth == 0 && html.at < html.text.len)) {
            return false;
        }
    }
    return html.depth == 0 && html.has_content;
}
