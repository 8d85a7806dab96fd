# The page of report_html in a browser: nothing runs or is fetched, nothing is wider than the screen, wide or narrow, light or dark; what is
# read is large enough and stands out from its ground; and it can be printed. Skipped where there is no Chromium.
use strict;
use warnings FATAL => 'all';

use Cwd qw(abs_path);
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use JSON;
use PostgreSQL::Test::Utils;
use Server;
use Test::More;

my ($browser) = grep { -x } map { my $name = $_; map { "$_/$name" } split /:/, $ENV{PATH} } qw(chromium chromium-browser google-chrome);
plan skip_all => 'no Chromium here (apt-get install chromium)' if !defined $browser;

my $folder = abs_path(PostgreSQL::Test::Utils::tempdir());
# As long as it runs, what it writes home goes there.
$ENV{HOME} = $folder;

# ---- pages ----------------------------------------------------------------------------------------------------------------------
my $node = new_server();
my $db = new_database($node, 'looked_at');
my $session = new_session($node, $db);
is(length $session->query('SELECT raxx_detect.report_html()') > 1000, 1, 'a database without anything has a page');
append_to_file("$folder/empty.html", $session->query('SELECT raxx_detect.report_html()'));

load_application($node, $db);
$session->query(<<'END');
INSERT INTO waitlist_signups (event_time, email, origin)
SELECT timestamptz '2024-03-07 12:00' + n * interval '5 seconds', format('p%s@c%s.example', n, n), o FROM generate_series(1, 30) n,
	unnest(ARRAY['"><img src=x onerror="parent.hit=1">', '</title></style><script>parent.hit=1</script>', '<svg onload=parent.hit=1>', repeat('W', 300), repeat(E'\u4e2d', 150), E'\u202eevil']) o;
SELECT count(*) FROM raxx_detect.run_all('2024-03-07 18:00');
UPDATE raxx_detect.rules SET state_reason = repeat('W', 1000) WHERE number IN (3, 9);
END
append_to_file("$folder/full.html", $session->query('SELECT raxx_detect.report_html()'));

# What a browser makes of a page in a frame of that width, as a script in the page around it sees it.
my $measure = <<'END';
<!DOCTYPE html><body style="margin:0"><script>
var hit = 0;
function colour(text) { return text.match(/[\d.]+/g).map(Number); }
function luminance(c) {
  const [r, g, b] = c.slice(0, 3).map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function ground(element, view) {
  for (let e = element; e; e = e.parentElement) {
    const c = colour(view.getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] > 0) return c;
  }
  return [255, 255, 255];
}
function look(frame) {
  const page = frame.contentDocument, view = frame.contentWindow, found = { hit, wide: [], small: [], faint: [], overlap: [] };
  found.width = view.innerWidth;
  found.scrolls = page.documentElement.scrollWidth;
  found.cards = page.querySelectorAll('article').length;
  found.charts = page.querySelectorAll('svg').length;
  found.drawn = [...page.querySelectorAll('svg')].filter(s => s.getBoundingClientRect().width > 200 && s.getBoundingClientRect().height > 50).length;
  found.fetched = view.performance.getEntriesByType('resource').length;
  found.ground = colour(view.getComputedStyle(page.body).backgroundColor);
  for (const e of page.body.querySelectorAll('*')) {
    const box = e.getBoundingClientRect(), style = view.getComputedStyle(e);
    if (box.width > 0 && (box.right > view.innerWidth + 0.5 || box.left < -0.5)) found.wide.push(e.outerHTML.slice(0, 200));
    const text = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim() !== '');
    if (!text || box.width === 0) continue;
    if (parseFloat(style.fontSize) < 12) found.small.push(e.outerHTML.slice(0, 200));
    const a = luminance(colour(style.color)), b = luminance(ground(e, view)), contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) found.faint.push(contrast.toFixed(2) + ' ' + e.outerHTML.slice(0, 200));
  }
  for (const axis of page.querySelectorAll('.axis')) {
    const [a, b] = [...axis.children].map(s => s.getBoundingClientRect());
    if (a.right > b.left && a.bottom > b.top && b.bottom > a.top) found.overlap.push(axis.outerHTML.slice(0, 200));
  }
  const result = document.createElement('pre');
  result.id = 'result';
  result.textContent = btoa(unescape(encodeURIComponent(JSON.stringify(found))));
  document.body.append(result);
}
</script><iframe onload="look(this)" src="PAGE" style="border:0;width:WIDTHpx;height:900px"></iframe></body>
END

sub browse
{
	my (@options) = @_;
	my ($output, $error) = ('', '');
	IPC::Run::run([ $browser, '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-extensions', "--user-data-dir=$folder/profile",
			'--allow-file-access-from-files', '--hide-scrollbars', @options ], '>', \$output, '2>', \$error, IPC::Run::timeout(180)) or die "$browser @options: $error";
	return $output;
}

sub measure
{
	my ($page, $width, @options) = @_;
	my $text = $measure =~ s/PAGE/$page.html/r =~ s/WIDTH/$width/r;
	my $around = "$folder/around-$page-$width.html";
	unlink $around;
	append_to_file($around, $text);
	my ($result) = browse('--window-size=1600,1000', '--virtual-time-budget=5000', '--dump-dom', @options, "file://$around") =~ /<pre id="result">([A-Za-z0-9+\/=]+)</;
	die "$page at $width: no result" if !defined $result;
	require MIME::Base64;
	return decode_json(MIME::Base64::decode_base64($result));
}

foreach my $case ([ 'full', 390 ], [ 'full', 820 ], [ 'full', 1280 ], [ 'full', 390, '--blink-settings=preferredColorScheme=0' ], [ 'full', 1280, '--blink-settings=preferredColorScheme=0' ], [ 'empty', 390 ],
	[ 'empty', 1280 ])
{
	my ($page, $width, @options) = @$case;
	my $name = join ' ', $page, $width, @options ? 'dark' : 'light';
	my $found = measure($page, $width, @options);
	is($found->{width}, $width, "$name: as wide as asked for");
	is($found->{scrolls}, $width, 'nothing to scroll to the side');
	is_deeply($found->{wide}, [], 'no element is wider than the screen');
	is_deeply($found->{small}, [], 'no text is too small');
	is_deeply($found->{faint}, [], 'or too faint');
	is_deeply($found->{overlap}, [], 'no times of an axis lie over each other');
	is($found->{hit}, 0, 'no script of the rows has run');
	is($found->{fetched}, 0, 'nothing was fetched');
	is($found->{drawn}, $found->{charts}, 'all charts can be seen');
	cmp_ok($found->{charts}, '>=', $page eq 'full' ? 10 : 0, 'as many as there should be');
	cmp_ok($found->{ground}[0], @options ? '<' : '>', 128, 'on a ground of that brightness');
}

# ---- pictures and paper -----------------------------------------------------------------------------------------------------------
foreach my $size ('1280,2400', '500,2400')
{
	browse("--window-size=$size", "--screenshot=$folder/page.png", "file://$folder/full.html");
	my $picture = slurp_file("$folder/page.png");
	my ($width) = $size =~ /^(\d+)/;
	is(unpack('N', substr $picture, 16, 4), $width, "$size: a picture");
	cmp_ok(length $picture, '>', 50_000, 'with something in it');
}
browse("--print-to-pdf=$folder/page.pdf", "file://$folder/full.html");
my $paper = slurp_file("$folder/page.pdf");
like($paper, qr/^%PDF-/, 'on paper');
my $sheets = () = $paper =~ m{/Type\s*/Page\b}g;
cmp_ok($sheets, '>=', 2, "of $sheets sheets");
done_testing();
