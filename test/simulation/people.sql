-- People: their e-mail addresses and networks. In plpgsql, which keeps its plans: an SQL function that cannot be inlined and
-- is called by another one is planned anew at each call.

-- The local part of person n's address.
CREATE FUNCTION sim.mailbox(n bigint) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    first text := sim.pick('{anna,omar,li,maria,jo,peter,eva,tom,nina,ines,ulf,sara,ivan,chloe,raj,mei,lucas,emma,noah,olga,hugo,
        lena,paul,ruth,sven,tara,umar,vera,will,yuki,zoe,adam,bea,carl,dina,elif}', sim.u(n, 9010));
    last text := sim.pick('{karlsson,tan,wei,silva,bauer,hall,maier,reed,pohl,vega,berg,lind,petrov,martin,patel,chen,costa,
        jones,smith,ivanova,moreau,fischer,novak,stone,larsen,singh,khan,sato,weber,kim,rossi,garcia,haas,demir,okafor,nguyen}',
        sim.u(n, 9011));
    style float8 := sim.u(n, 9012);
    number float8 := sim.u(n, 9013);
BEGIN
    RETURN CASE
        WHEN style < 0.34 THEN first || '.' || last
        WHEN style < 0.50 THEN first || last
        WHEN style < 0.62 THEN left(first, 1) || last
        WHEN style < 0.66 THEN left(first, 1) || '.' || last
        WHEN style < 0.76 THEN first || '.' || last || (10 + floor(number * 90))::int
        WHEN style < 0.88 THEN first || last || (1 + floor(number * 99))::int
        WHEN style < 0.94 THEN first || (1960 + floor(number * 45))::int
        WHEN style < 0.96 THEN first || '_' || last
        WHEN style < 0.975 THEN last || '.' || first || (floor(number * 1000))::int || left(last, 1)
        WHEN style < 0.985 THEN first || '.' || last || '+raxx'
        WHEN style < 0.99 THEN 'x' || first || '-' || (floor(number * 1000))::int || '-' || last
        ELSE first END;
END $$;

-- The domain of company n, one of some three thousand.
CREATE FUNCTION sim.company(n bigint) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN sim.pick('{acme,northwind,contoso,globex,initech,umbra,hooli,vandelay,stark,wayne,tyrell,cyber,soylent,wonka,oscorp,
               massive,aperture,mesa,duff,monarch}', sim.u(n, 9020))
           || sim.pick('{-labs,-capital,-group,-trading,-research,-partners,-invest,-quant,-soft,-bank}', sim.u(n, 9021))
           || n % 15 || sim.pick('{.com,.com,.com,.io,.co.uk,.de,.fr,.net}', sim.u(n, 9022));
END $$;

-- The address of person n: three in four at a free-mail provider, the others at companies, some of them large.
CREATE FUNCTION sim.email(n bigint) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    host float8 := sim.u(n, 9015) / 0.75;
BEGIN
    RETURN sim.mailbox(n) || '@' || CASE WHEN host < 1 THEN sim.pick('{gmail.com,gmail.com,gmail.com,gmail.com,gmail.com,
               outlook.com,outlook.com,hotmail.com,yahoo.com,icloud.com,proton.me,gmx.de}', host)
        ELSE sim.company(floor(3000 * sim.u(n, 9014) ^ 2)::bigint) END;
END $$;

-- The network of household n: one address each, four in five IPv4.
CREATE FUNCTION sim.home(n bigint) RETURNS inet LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF sim.u(n, 9030) < 0.8 THEN
        RETURN inet '10.0.0.0' + n;
    END IF;
    RETURN ('2001:db8:' || to_hex(n / 65536) || ':' || to_hex(n % 65536) || '::' || to_hex(floor(1 + 60000 * sim.u(n, 9031))::int))::inet;
END $$;
